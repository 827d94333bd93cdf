// What a page says to its readers: the cells of its tables, and the nodes and arrows of its pictures. Markdown in, one JSON object out.
import { readFileSync } from "node:fs";
import { JSDOM } from "jsdom";
import markdownIt from "markdown-it";

// Mermaid cleans labels with a browser's document.
const { window } = new JSDOM("");
Object.assign(globalThis, { window, document: window.document });
const { default: mermaid } = await import("mermaid");

const reader = markdownIt({ html: true });
const tokens = reader.parse(readFileSync(0, "utf8"), {});

function words(inline) {
  return inline.children.map((token) => (token.type === "softbreak" ? " " : token.content)).join("");
}

const tables = [];
const paragraphs = [];
const pictures = [];
for (const [at, token] of tokens.entries()) {
  if (token.type === "table_open") tables.push([]);
  if (token.type === "tr_open") tables.at(-1).push([]);
  if (token.type === "th_open" || token.type === "td_open") tables.at(-1).at(-1).push(words(tokens[at + 1]));
  if (token.type === "paragraph_open") paragraphs.push(words(tokens[at + 1]));
  if (token.type === "fence" && token.info === "mermaid") pictures.push(await picture(token.content));
}

// A label's characters that the language could misread are numbers; Mermaid keeps them so until it draws.
function label(text) {
  return text.replace(/\uFB02\u00B0\u00B0(\d+)\u00B6\u00DF/g, (_, code) => String.fromCodePoint(Number(code)));
}

async function picture(text) {
  await mermaid.parse(text);
  const { db } = await mermaid.mermaidAPI.getDiagramFromText(text);
  const nodes = [...db.getVertices().values()].map((node) => [node.id, label(node.text ?? "")]);
  const edges = db.getEdges().map((edge) => [edge.start, label(edge.text ?? ""), edge.end]);
  return { nodes: Object.fromEntries(nodes), edges };
}

console.log(JSON.stringify({ tables, paragraphs, pictures }));

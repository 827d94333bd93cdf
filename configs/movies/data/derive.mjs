// Makes the three domains of the demo graph from one table of real movies; README.md states every rule.
//
//     node derive.mjs path/to/vega-datasets/data/movies.json
//
// Same input, same bytes: no clock and no chance, so a change of a rule shows as a readable diff.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

// The table was collected in 2010, so the years after it are two-digit years of the last century.
const NEWEST_YEAR = 2011;

// The day on which the graph's world stands still. A production's status is where a film with that release date would be on this day;
// the bounds are release dates, each exclusive.
const STATUS_BEFORE = [
  ["2009-07-01", "RELEASED"],
  ["2009-10-01", "POST_PRODUCTION"],
  ["2009-12-01", "WRAPPED"],
  ["2010-07-01", "IN_PHOTOGRAPHY"],
];

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

// Mac OS Roman from 0x80 upwards. Somebody read the Windows-1252 table as Mac OS Roman ("LÈon"); going back through it mends the text.
const MAC_ROMAN =
  "ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü" +
  "†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø" +
  "¿¡¬√ƒ≈∆«»…\u00a0ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ" +
  "‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\uf8ffÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ";

// Windows-1252 is Latin-1 but for 0x80–0x9f, of which the table holds one character. Written out because Node's own decoder differed
// between versions on just these bytes.
const WINDOWS_1252 = { 0x85: "…" };

function text(raw) {
  if (raw === null) return null;
  return Array.from(String(raw), (character) => {
    const place = MAC_ROMAN.indexOf(character);
    if (place < 0) return character;
    return WINDOWS_1252[0x80 + place] ?? String.fromCharCode(0x80 + place);
  }).join("");
}

function isoDate(raw) {
  const [month, day, rawYear] = raw.split(" ");
  const year = Number(rawYear) > NEWEST_YEAR ? Number(rawYear) - 100 : Number(rawYear);
  return `${year}-${String(MONTHS.indexOf(month) + 1).padStart(2, "0")}-${day}`;
}

function typeOf(genre) {
  if (genre === "Documentary") return "DOCUMENTARY";
  if (genre === "Concert/Performance") return "CONCERT";
  return "FEATURE";
}

function statusAt(releaseDate) {
  return STATUS_BEFORE.find(([bound]) => releaseDate < bound)?.[1] ?? "IN_DEVELOPMENT";
}

// What is unknown is left out: an absent field and a null are the same to the graph, and the files are a third smaller.
function known(record) {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== null));
}

function derive(rows) {
  const movies = [];
  const productions = [];
  const talents = new Map();
  rows.forEach((row, index) => {
    const movieId = `m${index + 1}`;
    const releaseDate = isoDate(row["Release Date"]);
    const status = statusAt(releaseDate);
    const released = status === "RELEASED";
    movies.push(
      known({
        movieId,
        title: text(row.Title) ?? "Untitled",
        type: typeOf(row["Major Genre"]),
        genre: row["Major Genre"],
        creativeType: row["Creative Type"],
        source: row.Source,
        mpaaRating: row["MPAA Rating"],
        releaseDate,
        runningTime: row["Running Time min"],
        imdbRating: row["IMDB Rating"],
        rottenTomatoesRating: row["Rotten Tomatoes Rating"],
        popularity: row["IMDB Votes"],
      }),
    );
    productions.push(
      known({
        ptpId: `p${index + 1}`,
        movieId,
        status,
        distributor: text(row.Distributor),
        budget: row["Production Budget"],
        grossUS: released ? row["US Gross"] : null,
        grossWorldwide: released ? row["Worldwide Gross"] : null,
      }),
    );
    const name = text(row.Director);
    if (name === null) return;
    if (!talents.has(name)) {
      talents.set(name, { talentId: `t${talents.size + 1}`, name, role: "DIRECTOR", movies: [] });
    }
    talents.get(name).movies.push(movieId);
  });
  return { movies, productions, talents: [...talents.values()] };
}

const source = process.argv[2];
if (!source) {
  console.error("usage: node derive.mjs path/to/vega-datasets/data/movies.json");
  process.exit(64);
}
for (const [domain, records] of Object.entries(derive(JSON.parse(readFileSync(source, "utf8"))))) {
  const lines = records.map((record) => JSON.stringify(record));
  writeFileSync(join(import.meta.dirname, `${domain}.json`), `[\n${lines.join(",\n")}\n]\n`);
}

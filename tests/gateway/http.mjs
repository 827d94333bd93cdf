// Serves a GraphQL server or a JSON handler on a local port, with nothing between it and Node's HTTP.
import { createServer } from "node:http";
import { HeaderMap } from "@apollo/server";

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

/** Listens on the port (0: any free one) of the loopback interface and answers with the server. */
export async function listen(port, handle) {
  // A caller may send on a connection at the moment when an idle timeout closes it; connections end with their callers here.
  const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    handle(request, response).catch((error) => {
      if (!response.headersSent) response.writeHead(500, { "content-type": "text/plain" });
      response.end(`${error.message}\n`);
    });
  });
  await reopen(server, port);
  return server;
}

/** Listens on the port, for the first time or again. */
export function reopen(server, port) {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server.off("error", reject)));
  });
}

/** Listens no more: who connects is refused. */
export function close(server) {
  return new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
}

/** Answers POST and GET on any path as Apollo Server would; `before` may answer first and say so with true. */
export function graphqlHandler(server, before) {
  return async (request, response) => {
    const text = await bodyOf(request);
    if (await before(response)) return;
    let body;
    try {
      body = text && JSON.parse(text);
    } catch {
      response.writeHead(400, { "content-type": "text/plain" }).end("the body is not JSON\n");
      return;
    }
    const headers = new HeaderMap();
    for (const [name, value] of Object.entries(request.headers)) headers.set(name, String(value));
    const { search } = new URL(request.url, "http://localhost");
    const answer = await server.executeHTTPGraphQLRequest({
      httpGraphQLRequest: { method: request.method, headers, search, body },
      context: async () => ({}),
    });
    for (const [name, value] of answer.headers) response.setHeader(name, value);
    response.statusCode = answer.status ?? 200;
    if (answer.body.kind === "complete") {
      response.end(answer.body.string);
      return;
    }
    for await (const chunk of answer.body.asyncIterator) response.write(chunk);
    response.end();
  };
}

/** Answers by a table of `"METHOD /path/:id": (id, body) => value`; a thrown error with a `status` becomes that status. */
export function jsonHandler(routes) {
  return async (request, response) => {
    const answer = (status, value) =>
      response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(value)}\n`);
    const { pathname } = new URL(request.url, "http://localhost");
    const [, path, id] = /^(.*?)(?:\/([a-z][0-9]+))?$/.exec(pathname);
    const route = routes[`${request.method} ${path}${id ? "/:id" : ""}`];
    if (!route) return answer(404, { error: "no such route", routes: Object.keys(routes) });
    try {
      const text = await bodyOf(request);
      return answer(200, await route(id, text ? JSON.parse(text) : {}));
    } catch (error) {
      return answer(error.status ?? (error instanceof SyntaxError ? 400 : 500), { error: error.message });
    }
  };
}

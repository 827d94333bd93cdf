// The three subgraphs: the committed schemas of configs/movies and the resolvers that read the world.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ApolloServer } from "@apollo/server";
import { ApolloServerPluginInlineTraceDisabled } from "@apollo/server/plugin/disabled";
import { buildSubgraphSchema } from "@apollo/subgraph";
import { GraphQLError, parse } from "graphql";
import { CONFIG } from "./places.mjs";

const LARGEST_PAGE = 1000;

// References are stubs of `{ movieId }`: the gateway fetches the rest from the subgraph that owns it.
function resolvers(world, failures, counts) {
  const stub = (movieId) => ({ movieId });
  const movie = (movieId) => failures.entity("movies", movieId, world.movie(movieId));
  // A movie asked for by its key is one document fetched; movies met on the way (`Talent.movies`, the list) are not.
  const rootMovie = (movieId) => {
    counts.documents += 1;
    return movie(movieId);
  };
  const production = (ptpId) => failures.entity("productions", ptpId, world.production(ptpId));
  const talent = (talentId) => failures.entity("talent", talentId, world.talent(talentId));
  // One leaf of each subgraph throws, and one that is never null says null; none of a talent's may be null.
  const throwing = (subgraph, key, name) => (row) => failures.leaf(subgraph, row[key], row[name], { throws: true });
  const required = (subgraph, key, name) => (row) => failures.leaf(subgraph, row[key], row[name], { throws: false });
  return {
    movies: {
      Query: {
        movie: (_, { movieId }) => rootMovie(movieId),
        moviesByIds: (_, { ids }) => ids.map(rootMovie),
        movies: (_, { first, after }) => {
          if (first < 1 || first > LARGEST_PAGE) throw new GraphQLError(`first is 1 to ${LARGEST_PAGE}`);
          const { page, hasNextPage, totalCount } = world.moviePage(first, after);
          const edges = page.map((node) => ({ cursor: node.movieId, node }));
          return { edges, pageInfo: { hasNextPage, endCursor: edges.at(-1)?.cursor ?? null }, totalCount };
        },
      },
      Movie: {
        __resolveReference: ({ movieId }) => movie(movieId),
        genre: throwing("movies", "movieId", "genre"),
        title: required("movies", "movieId", "title"),
      },
    },
    productions: {
      Query: { production: (_, { ptpId }) => production(ptpId) },
      Production: {
        __resolveReference: ({ ptpId }) => production(ptpId),
        distributor: throwing("productions", "ptpId", "distributor"),
        status: required("productions", "ptpId", "status"),
      },
      Movie: {
        __resolveReference: ({ movieId }) => failures.entity("productions", movieId, stub(movieId)),
        production: ({ movieId }) => world.productionOf(movieId),
      },
    },
    talent: {
      Query: { talent: (_, { talentId }) => talent(talentId) },
      Talent: {
        __resolveReference: ({ talentId }) => talent(talentId),
        name: throwing("talent", "talentId", "name"),
        role: required("talent", "talentId", "role"),
        movies: ({ talentId }) => world.moviesOf(talentId).map(stub),
      },
      Movie: {
        __resolveReference: ({ movieId }) => failures.entity("talent", movieId, stub(movieId)),
        talent: ({ movieId }, { role }) => world.talentOf(movieId).filter((person) => !role || person.role === role),
      },
    },
  };
}

/** One server for each subgraph, by name. */
export function subgraphServers(world, failures, counts) {
  return Object.entries(resolvers(world, failures, counts)).map(([name, ofSubgraph]) => {
    const typeDefs = parse(readFileSync(join(CONFIG, "subgraphs", `${name}.graphql`), "utf8"));
    const server = new ApolloServer({
      schema: buildSubgraphSchema({ typeDefs, resolvers: ofSubgraph }),
      // Left on, it announces itself on stdout, which carries one line only.
      plugins: [ApolloServerPluginInlineTraceDisabled()],
      includeStacktraceInErrorResponses: false,
      stopOnTerminationSignals: false,
    });
    return [name, server];
  });
}

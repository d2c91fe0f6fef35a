import { z } from "zod";
import { IDEMPOTENCY_HEADER } from "./call.ts";
import { refTo, SchemaBook } from "./openapi-schemas.ts";
import { ROUTES } from "./routes/index.ts";
import { type Answer, type Body, FRAMES_TYPE, LINES_TYPE, type Route } from "./routes/route.ts";

type Json = Record<string, unknown>;

/** What a variable part of a path stands for. */
const PATH_PARTS: Record<string, string> = {
  secret: "name of the secret",
  server: "an MCP server's name",
  vm: "a VM's name or id",
  snapshot: "a snapshot's name or id",
  drive: "a drive's name or id",
  volume: "a volume's name or id",
  forward: "a forward's id",
  backup: "a backup's id",
  artifact: "an artifact's name or id",
  task: "a task's id",
  key: "an API key's name or id",
  name: "a name",
  id: "an id",
};

/** The OpenAPI 3.1 document of the HTTP API. */
export function describeApi(version: string): Json {
  const schemas = new SchemaBook();
  const paths: Record<string, Record<string, Json>> = {};
  for (const [noun, routes] of Object.entries(ROUTES)) {
    for (const route of routes) {
      const path = route.path.replaceAll(/:(\w+)/g, "{$1}");
      paths[path] ??= {};
      paths[path][route.method.toLowerCase()] = describeRoute(noun, route, schemas);
    }
  }
  const finished = schemas.finish(paths);
  return {
    openapi: "3.1.1",
    info: {
      title: "firebreak",
      version,
      summary: "The daemon's HTTP API",
      description:
        "On a UNIX socket that only its owner may open, and on TCP for callers with an API key. docs/api.md tells of states, forms of answers and frames.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "http://127.0.0.1:9600", description: "as `daemon start --listen` says" }],
    // On the UNIX socket a key is not asked for.
    security: [{ apiKey: [] }],
    tags: Object.keys(ROUTES).map((name) => ({ name })),
    paths: finished.value,
    components: {
      schemas: finished.named,
      securitySchemes: { apiKey: { type: "http", scheme: "bearer", description: "a key of `firebreak key create`" } },
    },
  };
}

function describeRoute(noun: string, route: Route, schemas: SchemaBook): Json {
  const parts = [...route.path.matchAll(/:(\w+)/g)].map((match) => match[1] as string);
  const parameters = [
    ...parts.map((name) => ({
      name,
      in: "path",
      required: true,
      description: PATH_PARTS[name],
      schema: { type: "string" },
    })),
    ...Object.entries(route.query?.shape ?? {}).map(([name, schema]) => describeQuery(name, schema as z.ZodType)),
    ...(isMadeOnce(route) ? [IDEMPOTENCY_PARAMETER] : []),
  ];
  return {
    operationId: operationId(route),
    tags: [noun],
    summary: route.summary,
    ...(route.isLocal ? { description: "For callers on the UNIX socket only." } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.body === undefined ? {} : { requestBody: describeBody(route.body, schemas) }),
    responses: {
      [String(route.answer.status ?? 200)]: describeAnswer(route.answer, schemas),
      default: {
        description: "What went wrong; docs/errors.md lists the codes",
        content: { "application/json": { schema: schemaOfError() } },
      },
    },
  };
}

/** Of a POST request whose body can be compared with that of another. */
const IDEMPOTENCY_PARAMETER: Json = {
  name: IDEMPOTENCY_HEADER,
  in: "header",
  required: false,
  description: "repetitions with the same key are carried out once, and get the same answer, for 24 hours",
  schema: { type: "string", maxLength: 128 },
};

function isMadeOnce({ method, body }: Route): boolean {
  return method === "POST" && (body === undefined || body.form === "json");
}

/** `GET /v1/vms/:vm/events` is `getVmsVmEvents`. */
function operationId({ method, path }: Route): string {
  const words = path.replace(/^\/v1\//, "").split(/[^A-Za-z0-9]+/);
  const capitals = words.filter((word) => word !== "").map((word) => `${word[0]?.toUpperCase()}${word.slice(1)}`);
  return `${method.toLowerCase()}${capitals.join("")}`;
}

function describeQuery(name: string, schema: z.ZodType): Json {
  const { $schema: _, description, maximum, ...rest } = z.toJSONSchema(schema, { io: "input" });
  const bounds = maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? {} : { maximum };
  return {
    name,
    in: "query",
    required: !schema.safeParse(undefined).success,
    ...(description === undefined ? {} : { description }),
    schema: { ...rest, ...bounds },
  };
}

function describeBody(body: Body, schemas: SchemaBook): Json {
  if (body.form === "json") {
    // An empty body counts as {}.
    const required = !body.schema.safeParse({}).success;
    return { required, content: { "application/json": { schema: schemas.add("request", body.schema) } } };
  }
  if (body.form === "bytes") return { required: true, content: { [body.type]: {} } };
  const spec = body.spec === undefined ? {} : { "x-firebreak-spec": schemas.add("request", body.spec) };
  const first = body.spec === undefined ? "" : "; the first is SPEC, JSON as x-firebreak-spec says";
  return { description: `Exec frames${first}`, content: { [FRAMES_TYPE]: spec } };
}

function describeAnswer(answer: Answer, schemas: SchemaBook): Json {
  const described = describeForm(answer, schemas);
  const also = Object.entries(answer.also ?? {});
  if (also.length === 0) return described;
  const others = also.map(([type, description]) => [type, { schema: { type: "string", description } }]);
  return { ...described, content: { ...(described.content as Json), ...Object.fromEntries(others) } };
}

function describeForm(answer: Answer, schemas: SchemaBook): Json {
  switch (answer.form) {
    case "json":
      return { description: "Done", content: { "application/json": { schema: schemas.add("answer", answer.schema) } } };
    case "lines":
      return {
        description: "A line of JSON each: any number of `progress`, then one `result` or `error`",
        content: { [LINES_TYPE]: { schema: schemaOfLine(schemas.add("answer", answer.schema)) } },
      };
    case "bytes":
      return {
        description: "The bytes",
        ...(answer.headers === undefined ? {} : { headers: describeHeaders(answer.headers) }),
        content: { [answer.type]: {} },
      };
    case "text":
      return { description: "Text as it comes", content: { "text/plain": { schema: { type: "string" } } } };
    case "frames":
      return { description: "Exec frames; what goes wrong is the last frame", content: { [FRAMES_TYPE]: {} } };
    case "nothing":
      return { description: "Done" };
  }
}

function describeHeaders(headers: Record<string, string>): Json {
  return Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: "string" } }]),
  );
}

function schemaOfError(): Json {
  return { type: "object", properties: { error: { $ref: refTo("Error") } }, required: ["error"] };
}

function schemaOfLine(result: unknown): Json {
  const line = (name: string, schema: unknown) => ({
    type: "object",
    properties: { [name]: schema },
    required: [name],
  });
  return {
    oneOf: [
      line("progress", { $ref: refTo("Progress") }),
      line("result", result),
      line("error", { $ref: refTo("Error") }),
    ],
  };
}

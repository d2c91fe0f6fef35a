import { describeApi } from "../../src/contract/openapi.ts";
import { describeType, fieldTable, type JsonSchema } from "./schema.ts";

interface Content {
  schema?: JsonSchema;
  "x-firebreak-spec"?: JsonSchema;
}

interface Operation {
  tags: string[];
  summary: string;
  description?: string;
  parameters?: { name: string; in: string; required: boolean; description?: string; schema: JsonSchema }[];
  requestBody?: { required?: boolean; content: Record<string, Content> };
  responses: Record<
    string,
    { description: string; headers?: Record<string, { description: string }>; content?: Record<string, Content> }
  >;
}

interface Document {
  paths: Record<string, Record<string, Operation>>;
  tags: { name: string }[];
  components: { schemas: Record<string, JsonSchema> };
}

const HEAD = `# HTTP API

Each request of the daemon's HTTP API. [api.md](../api.md) tells how the API is reached, and of states, forms of answers and exec frames; \`firebreak api openapi\`
prints the same as an OpenAPI document. \`field?\` may be left out. A request that fails is answered with the field \`error\`, an [Error](#error), and the status of its class.

Written by \`make reference\` from \`src/contract/routes\`.
`;

/** docs/reference/http.md. */
export function writeHttpReference(): string {
  // The document's version says nothing here; it is typed as any JSON, and Document names what is used of it.
  const document = describeApi("0") as unknown as Document;
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ title: `${method.toUpperCase()} ${path}`, operation })),
  );
  const sections = document.tags.flatMap(({ name }) => [
    `## Requests: ${name}`,
    ...operations
      .filter(({ operation }) => operation.tags.includes(name))
      .flatMap(({ title, operation }) => describeOperation(title, operation)),
  ]);
  const shapes = Object.entries(document.components.schemas).flatMap(([name, schema]) => [
    `### ${name}`,
    fieldTable(schema).join("\n"),
  ]);
  return `${[HEAD.trim(), ...sections, "## Shapes", ...shapes].join("\n\n")}\n`;
}

function describeOperation(title: string, operation: Operation): string[] {
  const { summary, description, parameters = [], requestBody } = operation;
  const query = parameters.filter((parameter) => parameter.in === "query");
  const facts = [`${summary}.${description === undefined ? "" : ` ${description}`}`];
  if (query.length > 0) {
    const properties = Object.fromEntries(
      query.map(({ name, description: meaning, schema }) => [
        name,
        { ...schema, ...(meaning === undefined ? {} : { description: meaning }) },
      ]),
    );
    const required = query.filter((parameter) => parameter.required).map(({ name }) => name);
    facts.push("Query:", fieldTable({ properties, required }).join("\n"));
  }
  if (requestBody !== undefined) facts.push(...describeContent("Body", requestBody.content));
  facts.push(...describeAnswer(operation));
  return [`### ${title}`, ...facts];
}

function describeAnswer({ responses }: Operation): string[] {
  const [status = "", answer] = Object.entries(responses).find(([code]) => code !== "default") ?? [];
  const where = status === "200" ? "Answer" : `Answer ${status}`;
  if (answer?.content === undefined) return [`${where}: nothing.`];
  const headers = Object.entries(answer.headers ?? {}).map(
    ([name, { description }]) => `Header \`${name}\`: ${description}.`,
  );
  return [...describeContent(where, answer.content), ...headers];
}

function describeContent(where: string, content: Record<string, Content>): string[] {
  return Object.entries(content).flatMap(([type, { schema, "x-firebreak-spec": spec }]) => {
    if (type === "application/x-ndjson") return [`${where}, in lines: ${describeType(resultOf(schema))}`];
    if (type === "application/x-firebreak-frames")
      return [`${where}: exec frames${spec === undefined ? "" : `; SPEC is ${describeType(spec)}`}`];
    if (schema?.type === "string" && schema.description !== undefined)
      return [`${where}, as \`${type}\`: ${schema.description}`];
    if (type !== "application/json" || schema === undefined) return [`${where}: \`${type}\``];
    const table = schema.$ref === undefined && where === "Body" ? fieldTable(schema) : [];
    return table.length > 0 ? [`${where}:`, table.join("\n")] : [`${where}: ${describeType(schema)}`];
  });
}

/** What the last line of an answer in lines holds. */
function resultOf(line: JsonSchema | undefined): JsonSchema {
  return line?.oneOf?.flatMap(({ properties }) => properties?.result ?? [])[0] ?? {};
}

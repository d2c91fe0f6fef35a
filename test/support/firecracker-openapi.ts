import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Ajv, type ValidateFunction } from "ajv";
import { parse } from "yaml";

/** The document as Firecracker publishes it (src/firecracker/swagger/firecracker.yaml; Apache-2.0, 1.17.0-dev), unaltered. */
const DOCUMENT = fileURLToPath(new URL("../fixtures/firecracker/firecracker-openapi.yaml", import.meta.url));

interface Parameter {
  in: string;
  required?: boolean;
  schema?: object;
}
interface Swagger {
  paths: Record<string, Record<string, { parameters?: Parameter[] }>>;
  definitions: Record<string, Record<string, unknown>>;
}

/** Says what of a request is not as Firecracker's OpenAPI document (Swagger 2.0) has it. */
export class FirecrackerSchema {
  readonly #operations: {
    method: string;
    path: RegExp;
    body: ValidateFunction | undefined;
    isBodyRequired: boolean;
  }[];

  constructor() {
    const document = parse(readFileSync(DOCUMENT, "utf8")) as Swagger;
    for (const schema of Object.values(document.definitions)) {
      // Firecracker refuses fields that it does not know; the document leaves that unsaid.
      if (schema.properties !== undefined) schema.additionalProperties ??= false;
    }
    // Formats of the document are int64 and pieces of regular expressions: no formats of JSON Schema.
    const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
    ajv.addSchema({ $id: "firecracker", definitions: document.definitions });
    this.#operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { parameters = [] }]) => {
        const body = parameters.find((parameter) => parameter.in === "body");
        return {
          method: method.toUpperCase(),
          path: new RegExp(`^${path.replace(/\{\w+\}/g, "[A-Za-z0-9_]+")}$`),
          body: body?.schema && ajv.compile(withIds(body.schema)),
          isBodyRequired: body?.required === true,
        };
      }),
    );
  }

  /** What is wrong with a request, in the document's terms; empty when nothing is. */
  problems(method: string, path: string, body: unknown): string[] {
    const known = this.#operations.filter((operation) => operation.path.test(path));
    const operation = known.find((candidate) => candidate.method === method);
    if (operation === undefined) return [`Invalid request method and/or path: ${method} ${path.slice(1)}.`];
    if (body === undefined) return operation.isBodyRequired ? [`Empty ${method} request.`] : [];
    if (operation.body === undefined) return [`${method} ${path} takes no body`];
    if (operation.body(body)) return [];
    return (operation.body.errors ?? []).map((error) => {
      const { additionalProperty } = error.params as { additionalProperty?: string };
      return `${error.instancePath} ${error.message}${additionalProperty ? ` (${additionalProperty})` : ""}`.trim();
    });
  }
}

function withIds(schema: object): object {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/definitions/', '"firecracker#/definitions/'));
}

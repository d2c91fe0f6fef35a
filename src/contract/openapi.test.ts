import assert from "node:assert/strict";
import { test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { describeApi } from "./openapi.ts";
import { ROUTES } from "./routes/index.ts";

interface Operation {
  operationId: string;
  summary: string;
  parameters?: { name: string; in: string; description?: string }[];
}

const document = describeApi("1.2.3") as {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown> };
};
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
);

test("the document is valid OpenAPI 3.1, and every reference in it leads somewhere", async () => {
  const validator = new Validator();
  const result = await validator.validate(structuredClone(document));
  assert.deepEqual([result.valid, result.errors], [true, undefined]);
  assert.equal(validator.version, "3.1");
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)];
  assert.ok(references.length > 100);
  for (const [, name] of references) assert.ok(document.components.schemas[name as string] !== undefined, name);
});

test("every route is in the document, under a name of its own", () => {
  assert.equal(operations.length, Object.values(ROUTES).flat().length);
  assert.equal(new Set(operations.map(({ operation }) => operation.operationId)).size, operations.length);
});

test("every part of a path that varies is a parameter", () => {
  for (const { path, method, operation } of operations) {
    const parts = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
    const told = (operation.parameters ?? []).filter((parameter) => parameter.in === "path").map(({ name }) => name);
    assert.deepEqual(told, parts, `${method} ${path}`);
    assert.ok(!path.includes(":"), path);
    for (const { name, description } of operation.parameters ?? [])
      assert.ok(
        description,
        `${method} ${path}: say what '${name}' is, with describe() or among PATH_PARTS in openapi.ts`,
      );
  }
});

test("requests are closed to keys that are not known, answers are not", () => {
  const { VmCreate, Vm } = document.components.schemas as Record<string, { additionalProperties?: boolean }>;
  assert.equal(VmCreate?.additionalProperties, false);
  assert.equal(Vm?.additionalProperties, undefined);
});

test("summaries are sentences without a full stop", () => {
  for (const { operation } of operations) assert.match(operation.summary, /^[A-Z].*[^.]$/, operation.operationId);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { scanTool } from "../../../../test/support/scan-tool.ts";

const scanHints = (name: string, hints: object) =>
  scanTool({ name, annotations: hints }).filter((found) => found.includes("hints_contradict_name"));

test("a name that changes something and hints that say otherwise contradict each other", () => {
  for (const name of [
    "delete_file",
    "fileDelete",
    "exec",
    "shell_exec",
    "execute_command",
    "write_file",
    "updateIssue",
    "send-mail",
    "dеlete_all",
  ])
    assert.deepEqual(
      scanHints(name, { readOnlyHint: true }),
      ["warning hints_contradict_name annotations.readOnlyHint"],
      name,
    );
  for (const name of ["delete_entities", "purge-queue", "table_drop"])
    assert.deepEqual(
      scanHints(name, { destructiveHint: false }),
      ["warning hints_contradict_name annotations.destructiveHint"],
      name,
    );
});

test("names that read, and hints that fit, are no finding", () => {
  for (const name of [
    "get_deleted_files",
    "list_updates",
    "search_writes",
    "execute_query",
    "run_query",
    "undelete",
    "settings",
    "address_book",
    "dropbox_status",
    "executive_summary",
    "preview_delete",
    "query",
  ])
    assert.deepEqual(scanHints(name, { readOnlyHint: true }), [], name);
  for (const hints of [{}, { readOnlyHint: false, destructiveHint: true }, { readOnlyHint: "true" }])
    assert.deepEqual(scanHints("delete_file", hints), []);
  assert.deepEqual(scanHints("create_directory", { readOnlyHint: false, destructiveHint: false }), []);
  assert.deepEqual(scanTool({ name: "delete_file" }), []);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { ROUTES } from "../../contract/routes/index.ts";
import { DashboardFiles } from "./files.ts";

const fileOf = (url: string, method = "GET") => DashboardFiles.fileOf({ method, url });

test("pages are one file, whatever stands behind their names", () => {
  for (const url of [
    "/",
    "/?x=1",
    "/login",
    "/tasks",
    "/tasks/4f1c0e9a2b3d",
    "/vms/web/terminal",
    "/mcp-servers",
    "/audit",
  ])
    assert.equal(fileOf(url), "index.html", url);
  assert.equal(fileOf("/tasks", "HEAD"), "index.html");
  assert.equal(fileOf("/favicon.svg"), "favicon.svg");
  assert.equal(fileOf("/assets/index-B1_x-2.js"), "assets/index-B1_x-2.js");
});

test("nothing of the API, no other method and no path that leads elsewhere is a file of the dashboard's", () => {
  const routes = Object.values(ROUTES).flatMap((group) => group.map(({ path }) => path));
  for (const url of [
    ...routes,
    "/v1",
    "/mcp",
    "/servers",
    "/servers/x/mcp",
    "/metrics",
    "/tasksx",
    "/nothing",
    "//tasks",
    "/assets/",
    "/assets/../index.html",
    "/assets/..%2f..%2fetc%2fpasswd",
    "/assets/a/b.js",
    "/assets/x.map",
    "http://127.0.0.1/tasks",
    "*",
    "",
  ])
    assert.equal(fileOf(url), undefined, url);
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
    assert.equal(fileOf("/", method), undefined, method);
});

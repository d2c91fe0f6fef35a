import assert from "node:assert/strict";
import { test } from "node:test";
import { findNearest } from "./nearest.ts";

test("a slip finds the word that was meant, anything else finds none", () => {
  const known = ["guest", "snapshot", "template", "vm"];
  assert.equal(findNearest("gest", known), "guest");
  assert.equal(findNearest("snapshots", known), "snapshot");
  assert.equal(findNearest("tempalte", known), "template");
  assert.equal(findNearest("VM", known), "vm");
  assert.equal(findNearest("snap", known), "snapshot");
  assert.equal(findNearest("network", known), undefined);
  assert.equal(findNearest("", known), undefined);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { choosePlatform, parseConfig, parseManifest, toImageConfig, toLayers } from "./oci.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const configOf = (config: unknown) =>
  parseConfig(Buffer.from(JSON.stringify({ architecture: "amd64", os: "linux", config, rootfs: { diff_ids: [] } })));

test("an image's wishes are kept, and those that cannot be are named", () => {
  const { config, env, warnings } = toImageConfig(
    configOf({
      Env: ["A=1", "B=x=y", "EMPTY=", "no-name=1", "LONELY"],
      Cmd: null,
      Entrypoint: ["/x"],
      WorkingDir: "rel",
      User: "a b",
    }),
  );
  assert.deepEqual(env, { A: "1", B: "x=y", EMPTY: "" });
  assert.deepEqual(config, { entrypoint: ["/x"], cmd: [] });
  assert.equal(warnings.length, 4);
  for (const empty of [null, undefined, {}, { User: "", WorkingDir: "", Env: null }])
    assert.deepEqual(toImageConfig(configOf(empty)), { config: { entrypoint: [], cmd: [] }, env: {}, warnings: [] });
  for (const user of ["1000", "app", "1000:50", "app:staff"])
    assert.equal(toImageConfig(configOf({ User: user })).config.user, user);
});

test("of several variants the first is taken unless one is asked for", () => {
  const entry = (architecture: string, variant?: string) => ({
    ...{ mediaType: "", digest: DIGEST, size: 1 },
    platform: { os: "linux", architecture, ...(variant === undefined ? {} : { variant }) },
  });
  const list = [entry("arm", "v6"), entry("arm", "v7"), entry("amd64")];
  assert.equal(choosePlatform(list, { os: "linux", architecture: "arm" }), list[0]);
  assert.equal(choosePlatform(list, { os: "linux", architecture: "arm", variant: "v7" }), list[1]);
  assert.throws(() => choosePlatform(list, { os: "windows", architecture: "amd64" }), {
    code: "IMAGE_PLATFORM_MISSING",
    hint: /linux\/arm, linux\/amd64/,
  });
});

test("layers that the configuration does not speak of, or of an unknown kind, are refused", () => {
  const manifest = (...types: string[]) =>
    parseManifest(
      Buffer.from(
        JSON.stringify({
          config: { mediaType: "", digest: DIGEST, size: 1 },
          layers: types.map((mediaType) => ({ mediaType, digest: DIGEST, size: 1 })),
        }),
      ),
    );
  const config = (count: number) => ({ ...configOf({}), rootfs: { diff_ids: Array(count).fill(DIGEST) as string[] } });
  const open = () => ({ open: () => (async function* () {})(), sizeBytes: 1 });
  const oci = "application/vnd.oci.image.layer.v1.tar";
  for (const type of [oci, `${oci}+gzip`, `${oci}+zstd`, "application/vnd.docker.image.rootfs.diff.tar.gzip"])
    assert.equal(toLayers(manifest(type), config(1), open)[0]?.diffId, DIGEST);
  assert.throws(() => toLayers(manifest(oci), config(2), open), { code: "IMAGE_INVALID" });
  for (const type of [`${oci}+gzip+encrypted`, "text/html", ""])
    assert.throws(() => toLayers(manifest(type), config(1), open), { code: "IMAGE_INVALID" });
});

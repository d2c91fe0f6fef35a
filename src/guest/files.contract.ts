import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { PassThrough, Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { type Contract, readAll } from "../../test/support/guest-contract.ts";
import { hasCode } from "../../test/support/has-code.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** Files, folders and archives. */
export function testFileContract(contract: Contract): void {
  contract("a file comes back byte for byte, whole and by range, with its mode", async ({ client, scratch }) => {
    const path = `${scratch}/bytes ü#?.bin`;
    const bytes = randomBytes(200_000);
    const written = await client.writeFile(path, Readable.from([bytes]), { mode: "0640", parents: true });
    assert.deepEqual([written.sizeBytes, written.mode, written.type], [bytes.length, "0640", "file"]);
    const whole = await client.readFile(path, {});
    assert.ok((await readAll(whole.body)).equals(bytes));
    assert.equal(whole.stat.sizeBytes, bytes.length);
    assert.ok(
      (await readAll((await client.readFile(path, { offset: 1000, length: 50 })).body)).equals(
        bytes.subarray(1000, 1050),
      ),
    );
    assert.equal((await readAll((await client.readFile(path, { offset: 999_999 })).body)).length, 0);
  });

  contract("a write that breaks off leaves the old file and nothing beside it", async ({ client, scratch }) => {
    const folder = `${scratch}/atomic`;
    await client.writeFile(`${folder}/f`, Readable.from([Buffer.from("old")]), { parents: true });
    const body = new PassThrough();
    const upload = client.writeFile(`${folder}/f`, body, {});
    body.write(Buffer.alloc(100_000));
    setTimeout(() => body.destroy(new Error("the caller is gone")), 100);
    await assert.rejects(upload);
    await sleep(200);
    assert.equal(String(await readAll((await client.readFile(`${folder}/f`, {})).body)), "old");
    assert.deepEqual(
      (await client.list(folder, { limit: 10 })).entries.map((entry) => entry.name),
      ["f"],
    );
  });

  contract("a deleted file is gone, a folder with content needs more than a word", async ({ client, scratch }) => {
    await client.writeFile(`${scratch}/gone/f`, Readable.from([Buffer.from("x")]), { parents: true });
    await client.deleteFile(`${scratch}/gone/f`, false);
    await assert.rejects(client.readFile(`${scratch}/gone/f`, {}), hasCode("FILE_NOT_FOUND"));
    await assert.rejects(client.deleteFile(`${scratch}/gone/f`, false), hasCode("FILE_NOT_FOUND"));
    await client.makeDirectory(`${scratch}/gone/a/b`, { parents: true });
    await assert.rejects(client.deleteFile(`${scratch}/gone`, false), hasCode("DIRECTORY_NOT_EMPTY"));
    await client.deleteFile(`${scratch}/gone`, true);
    await assert.rejects(client.stat(`${scratch}/gone`, true), hasCode("FILE_NOT_FOUND"));
    await assert.rejects(client.deleteFile("/", true), (error: unknown) => error instanceof FirebreakError);
  });

  contract("a folder is listed in pages, in order", async ({ client, scratch }) => {
    for (const file of ["c", "a", "b"])
      await client.writeFile(`${scratch}/pages/${file}`, Readable.from([Buffer.from(file)]), { parents: true });
    const first = await client.list(`${scratch}/pages`, { limit: 2 });
    assert.deepEqual([first.entries.map((entry) => entry.name), first.more], [["a", "b"], true]);
    const second = await client.list(`${scratch}/pages`, { limit: 2, after: "b" });
    assert.deepEqual([second.entries.map((entry) => entry.name), second.more], [["c"], false]);
    await assert.rejects(client.list(`${scratch}/pages/a`, { limit: 2 }), hasCode("FILE_NOT_A_DIRECTORY"));
    await assert.rejects(client.readFile(`${scratch}/pages`, {}), hasCode("FILE_IS_A_DIRECTORY"));
  });

  contract("a move replaces only when it is told to", async ({ client, scratch }) => {
    for (const file of ["from", "to"])
      await client.writeFile(`${scratch}/move/${file}`, Readable.from([Buffer.from(file)]), { parents: true });
    await assert.rejects(
      client.move(`${scratch}/move/from`, `${scratch}/move/to`, false),
      hasCode("FILE_ALREADY_EXISTS"),
    );
    await client.move(`${scratch}/move/from`, `${scratch}/move/to`, true);
    assert.equal(String(await readAll((await client.readFile(`${scratch}/move/to`, {})).body)), "from");
  });

  contract("an archive goes out and comes in again", async ({ client, scratch }) => {
    await client.writeFile(`${scratch}/tree/sub/f`, Readable.from([Buffer.from("in the tree")]), {
      parents: true,
      mode: "0755",
    });
    const archive = await readAll(await client.readArchive(`${scratch}/tree`));
    const result = await client.writeArchive(`${scratch}/tree2`, Readable.from([archive]));
    assert.ok(result.entries >= 2);
    const copy = await client.readFile(`${scratch}/tree2/sub/f`, {});
    assert.deepEqual([String(await readAll(copy.body)), copy.stat.mode], ["in the tree", "0755"]);
  });

  contract("bytes that are no archive are refused", async ({ client, scratch }) => {
    await assert.rejects(
      client.writeArchive(`${scratch}/bad`, Readable.from([randomBytes(4096)])),
      hasCode("INVALID_ARGUMENT"),
    );
  });
}

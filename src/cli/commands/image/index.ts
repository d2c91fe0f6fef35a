import type { Command } from "commander";
import { addImageBuild } from "./build.ts";
import { addImageDelete } from "./delete.ts";
import { addImageGet } from "./get.ts";
import { addImageImport } from "./import.ts";
import { addImageList } from "./list.ts";
import { addImagePrune } from "./prune.ts";
import { addImagePull } from "./pull.ts";
import { addImagePush } from "./push.ts";
import { addImageTag, addImageUntag } from "./tag.ts";

export function addImageCommands(program: Command): void {
  const image = program.command("image").description("the root file systems that VMs are made from");
  const verbs = [
    addImageList,
    addImageGet,
    addImagePull,
    addImagePush,
    addImageImport,
    addImageBuild,
    addImageTag,
    addImageUntag,
    addImageDelete,
    addImagePrune,
  ];
  for (const add of verbs) add(image);
}

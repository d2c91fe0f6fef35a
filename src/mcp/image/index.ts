import type { AnyTool } from "../tool.ts";
import { imageBuild } from "./image-build.ts";
import { imageBuildFile } from "./image-build-file.ts";
import { imageDelete } from "./image-delete.ts";
import { imageGet } from "./image-get.ts";
import { imageImport } from "./image-import.ts";
import { imageList } from "./image-list.ts";
import { imagePrune } from "./image-prune.ts";
import { imagePull } from "./image-pull.ts";
import { imagePush } from "./image-push.ts";
import { imageTag } from "./image-tag.ts";
import { imageUntag } from "./image-untag.ts";

/** What VMs are made from. */
export const imageTools: readonly AnyTool[] = [
  imageList,
  imageGet,
  imageBuild,
  imageBuildFile,
  imagePull,
  imagePush,
  imageImport,
  imageTag,
  imageUntag,
  imageDelete,
  imagePrune,
];

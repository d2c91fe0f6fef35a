import { z } from "zod";
import {
  imageBuildFileSchema,
  imageDeletedSchema,
  imageImportSchema,
  imageInfoSchema,
  imageListingSchema,
  imagePrunedSchema,
  imagePruneSchema,
  imagePullSchema,
  imagePushedSchema,
  imagePushSchema,
  imageResultSchema,
  imageTagSchema,
} from "../image.ts";
import { buildSchema } from "../vm.ts";
import { flag, json, jsonBody, lines, type Route } from "./route.ts";

export const imageRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/images",
    summary: "All images",
    answer: json(imageListingSchema),
  },
  { method: "GET", path: "/v1/images/:name", summary: "One image", answer: json(imageInfoSchema) },
  {
    method: "POST",
    path: "/v1/images/pull",
    summary: "Gets an image from a registry; a login travels in the header firebreak-registry-auth",
    body: jsonBody(imagePullSchema),
    answer: lines(imageResultSchema),
  },
  {
    method: "POST",
    path: "/v1/images/import",
    summary: "Makes an image of a root file system's tar, or of an OCI or Docker archive",
    query: imageImportSchema,
    body: { form: "bytes", type: "application/octet-stream" },
    answer: lines(imageResultSchema),
  },
  {
    method: "POST",
    path: "/v1/images/build",
    summary: "Builds an image from a build file, in a VM; the body is a tar of the context",
    query: imageBuildFileSchema,
    body: { form: "bytes", type: "application/x-tar" },
    answer: lines(imageResultSchema),
  },
  {
    method: "POST",
    path: "/v1/images/prune",
    summary: "Deletes the images that nothing needs: those without a name, or all",
    body: jsonBody(imagePruneSchema),
    answer: json(imagePrunedSchema),
  },
  {
    method: "POST",
    path: "/v1/images/:name/build",
    summary: "Builds an image, unless it is up to date",
    body: jsonBody(buildSchema),
    answer: lines(imageResultSchema),
  },
  {
    method: "POST",
    path: "/v1/images/:name/push",
    summary: "Publishes an image in a registry; a login travels in the header firebreak-registry-auth",
    body: jsonBody(imagePushSchema),
    answer: lines(imagePushedSchema),
  },
  {
    method: "POST",
    path: "/v1/images/:name/tag",
    summary: "Gives an image one more name",
    body: jsonBody(imageTagSchema),
    answer: json(imageInfoSchema),
  },
  {
    method: "POST",
    path: "/v1/images/:name/untag",
    summary: "Takes a name from its image, which stays",
    answer: json(imageInfoSchema),
  },
  {
    method: "DELETE",
    path: "/v1/images/:name",
    summary: "Deletes an image with all its names, unless something needs it",
    query: z.object({ force: flag("also while templates need it, which go with it") }),
    answer: json(imageDeletedSchema),
  },
];

import { randomBytes } from "node:crypto";
import {
  createRequestStateCodec,
  type GetPromptResult,
  type InputRequiredResult,
  inputRequired,
  type Prompt,
  type ReadResourceResult,
  type Resource,
  type ServerContext,
} from "@modelcontextprotocol/server";
import type { Extras } from "../extras.ts";
import { PNG } from "./content.ts";
import { formOf } from "./schemas.ts";
import { callFixture, FIXTURE_TOOLS, type FixtureHooks } from "./tools.ts";

const WATCHED = "test://watched-resource";

const RESOURCES: Resource[] = [
  { uri: "test://static-text", name: "static-text", mimeType: "text/plain" },
  { uri: "test://static-binary", name: "static-binary", mimeType: "image/png" },
  { uri: WATCHED, name: "watched-resource", mimeType: "text/plain" },
];

const argument = (name: string) => ({ name, description: name, required: true });
const PROMPTS: Prompt[] = [
  { name: "test_simple_prompt", description: "Says something." },
  {
    name: "test_prompt_with_arguments",
    description: "Says what it is given.",
    arguments: [argument("arg1"), argument("arg2")],
  },
  {
    name: "test_prompt_with_embedded_resource",
    description: "Shows a resource.",
    arguments: [argument("resourceUri")],
  },
  { name: "test_prompt_with_image", description: "Shows an image." },
  { name: "test_input_required_result_prompt", description: "Asks before it says something." },
];

const user = (content: GetPromptResult["messages"][number]["content"]) => ({ role: "user" as const, content });
const words = (text: string) => user({ type: "text", text });

/** What the conformance suite wants to find, by the names that it looks for. */
export function createFixtures(changes: Pick<FixtureHooks, "toolsChanged" | "promptsChanged">): Extras {
  const codec = createRequestStateCodec({ key: randomBytes(32) });
  const hooks: FixtureHooks = { ...changes, mintState: (payload) => codec.mint(payload) };
  return {
    tools: FIXTURE_TOOLS,
    callTool: (name, args, context) => callFixture(name, args, context, hooks),
    resources: RESOURCES,
    resourceTemplates: [{ uriTemplate: "test://template/{id}/data", name: "template", mimeType: "application/json" }],
    readResource,
    isWatchable: (uri) => uri === WATCHED,
    prompts: PROMPTS,
    getPrompt,
    capabilities: { tools: { listChanged: true }, prompts: { listChanged: true }, logging: {} },
    options: { requestState: { verify: (state, context) => codec.verify(state, context) } },
  };
}

function readResource(uri: string): ReadResourceResult | undefined {
  const text = (value: string, mimeType = "text/plain") => ({ contents: [{ uri, mimeType, text: value }] });
  if (uri === "test://static-text") return text("This is the content of the static text resource.");
  if (uri === "test://static-binary") return { contents: [{ uri, mimeType: "image/png", blob: PNG }] };
  if (uri === WATCHED) return text("watched");
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id === undefined) return undefined;
  return text(JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }), "application/json");
}

function getPrompt(
  name: string,
  args: Record<string, string>,
  { mcpReq }: ServerContext,
): GetPromptResult | InputRequiredResult | undefined {
  switch (name) {
    case "test_simple_prompt":
      return { messages: [words("This is a simple prompt for testing.")] };
    case "test_prompt_with_arguments":
      return { messages: [words(`Prompt with arguments: arg1='${args.arg1}', arg2='${args.arg2}'`)] };
    case "test_prompt_with_embedded_resource": {
      const resource = {
        uri: String(args.resourceUri),
        mimeType: "text/plain",
        text: "Embedded resource content for testing.",
      };
      return { messages: [user({ type: "resource", resource }), words("Please process the embedded resource above.")] };
    }
    case "test_prompt_with_image": {
      const image = user({ type: "image", data: PNG, mimeType: "image/png" });
      return { messages: [image, words("Please analyze the image above.")] };
    }
    case "test_input_required_result_prompt": {
      const answer = mcpReq.inputResponses?.user_context as { content?: { context?: unknown } } | undefined;
      if (answer?.content?.context !== undefined) return { messages: [words(`Context: ${answer.content.context}`)] };
      const message = "What context should the prompt use?";
      const requestedSchema = formOf("context");
      return inputRequired({ inputRequests: { user_context: inputRequired.elicit({ message, requestedSchema }) } });
    }
    default:
      return undefined;
  }
}

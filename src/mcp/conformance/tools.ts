import { setTimeout as sleep } from "node:timers/promises";
import {
  type CallToolResult,
  CLIENT_CAPABILITIES_META_KEY,
  type InputRequiredResult,
  inputRequired,
  MissingRequiredClientCapabilityError,
  type ServerContext,
  type Tool,
} from "@modelcontextprotocol/server";
import { PNG, text, WAV } from "./content.ts";
import { DEFAULTS_FORM, ENUMS_FORM, formOf, SCHEMA_2020_12 } from "./schemas.ts";

export interface FixtureHooks {
  toolsChanged: () => void;
  promptsChanged: () => void;
  /** Seals what a later round of the same call reads by `context.mcpReq.requestState()`. */
  mintState: (payload: unknown) => Promise<string>;
}

type Result = CallToolResult | InputRequiredResult;
type Run = (args: Record<string, unknown>, context: ServerContext, hooks: FixtureHooks) => Result | Promise<Result>;

/** Between the steps of what goes on for a while, ms. */
const STEP_MS = 50;

const run = (description: string, work: Run, inputSchema: Tool["inputSchema"] = { type: "object" }) => ({
  description,
  inputSchema,
  work,
});
const oneString = (name: string) => ({ ...formOf(name), properties: { [name]: { type: "string" } } });

const answers = ({ mcpReq }: ServerContext): Record<string, Record<string, unknown> | undefined> =>
  (mcpReq.inputResponses ?? {}) as Record<string, Record<string, unknown> | undefined>;
const accepted = (context: ServerContext, key: string): Record<string, unknown> | undefined => {
  const answer = answers(context)[key];
  const content = answer?.action === "accept" ? answer.content : undefined;
  return typeof content === "object" && content !== null ? (content as Record<string, unknown>) : undefined;
};
const askName = () => inputRequired.elicit({ message: "What is your name?", requestedSchema: formOf("name") });
const askModel = (words: string, maxTokens: number) =>
  inputRequired.createMessage({ messages: [{ role: "user", content: { type: "text", text: words } }], maxTokens });

/** What a modern client says with each request that it can do. */
const capabilitiesOf = ({ mcpReq }: ServerContext): Record<string, unknown> => {
  const envelope = (mcpReq.envelope ?? {}) as Record<string, Record<string, unknown> | undefined>;
  return envelope[CLIENT_CAPABILITIES_META_KEY] ?? {};
};

/** A call that is confirmed in a second round, which has to bring back the state of the first. */
const confirmed: Run = async (_args, context, hooks) => {
  const state = context.mcpReq.requestState<{ step: string }>();
  if (state?.step === "confirm" && accepted(context, "confirm") !== undefined) return text("state-ok");
  return inputRequired({
    inputRequests: {
      confirm: inputRequired.elicit({
        message: "Please confirm",
        requestedSchema: { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"] },
      }),
    },
    requestState: await hooks.mintState({ step: "confirm" }),
  });
};

const elicit =
  (requestedSchema: Parameters<ServerContext["mcpReq"]["elicitInput"]>[0]) => async (context: ServerContext) =>
    context.mcpReq.elicitInput(requestedSchema);

const TOOLS: Record<string, ReturnType<typeof run>> = {
  test_simple_text: run("Answers with text.", () => text("This is a simple text response for testing.")),
  test_image_content: run("Answers with an image.", () => ({
    content: [{ type: "image", data: PNG, mimeType: "image/png" }],
  })),
  test_audio_content: run("Answers with a sound.", () => ({
    content: [{ type: "audio", data: WAV, mimeType: "audio/wav" }],
  })),
  test_embedded_resource: run("Answers with a resource.", () => ({
    content: [
      {
        type: "resource",
        resource: {
          uri: "test://embedded-resource",
          mimeType: "text/plain",
          text: "This is an embedded resource content.",
        },
      },
    ],
  })),
  test_multiple_content_types: run("Answers with text, an image and a resource.", () => ({
    content: [
      { type: "text", text: "Multiple content types test:" },
      { type: "image", data: PNG, mimeType: "image/png" },
      {
        type: "resource",
        resource: {
          uri: "test://mixed-content-resource",
          mimeType: "application/json",
          text: JSON.stringify({ test: "data", value: 123 }),
        },
      },
    ],
  })),
  test_error_handling: run("Fails.", () => ({
    ...text("This tool intentionally returns an error for testing"),
    isError: true,
  })),
  test_tool_with_logging: run("Logs as it goes.", async (_args, context) => {
    for (const step of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
      await context.mcpReq.log("info", step);
      await sleep(STEP_MS);
    }
    return text("logged");
  }),
  test_logging_tool: run("Logs once.", async (_args, context) => {
    await context.mcpReq.log("info", "logged");
    return text("logged");
  }),
  test_tool_with_progress: run("Tells its progress.", async (_args, context) => {
    const progressToken = context.mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined) {
        const params = { progressToken, progress, total: 100, message: `${progress} of 100` };
        await context.mcpReq.notify({ method: "notifications/progress", params });
      }
      await sleep(STEP_MS);
    }
    return text("done");
  }),
  test_sampling: run(
    "Asks the client's model.",
    async ({ prompt }, context) => {
      const messages = [{ role: "user" as const, content: { type: "text" as const, text: String(prompt) } }];
      const { content } = await context.mcpReq.requestSampling({ messages, maxTokens: 100 });
      const [first] = Array.isArray(content) ? content : [content];
      return text(`LLM response: ${first?.type === "text" ? first.text : ""}`);
    },
    oneString("prompt"),
  ),
  test_elicitation: run(
    "Asks the client's user.",
    async ({ message }, context) => {
      const requestedSchema = {
        ...formOf("username", "email"),
        properties: {
          username: { type: "string" as const, description: "User's response" },
          email: { type: "string" as const, description: "User's email address" },
        },
      };
      const { action, content } = await elicit({ message: String(message), requestedSchema })(context);
      return text(`User response: action=${action}, content=${JSON.stringify(content ?? {})}`);
    },
    oneString("message"),
  ),
  test_elicitation_sep1034_defaults: run("Asks with defaults.", async (_args, context) => {
    const { action, content } = await elicit({ message: "Please review", requestedSchema: DEFAULTS_FORM })(context);
    return text(`Elicitation completed: action=${action}, content=${JSON.stringify(content ?? {})}`);
  }),
  test_elicitation_sep1330_enums: run("Asks to choose.", async (_args, context) => {
    const { action, content } = await elicit({ message: "Please choose", requestedSchema: ENUMS_FORM })(context);
    return text(`Elicitation completed: action=${action}, content=${JSON.stringify(content ?? {})}`);
  }),
  test_reconnection: run("Lets go of its stream and answers on the next.", async (_args, context) => {
    context.http?.closeSSE?.();
    await sleep(2 * STEP_MS);
    return text("Reconnection test completed successfully");
  }),
  json_schema_2020_12_tool: run(
    "Tool with JSON Schema 2020-12 features",
    (args) => text(JSON.stringify(args)),
    SCHEMA_2020_12,
  ),
  test_missing_capability: run("Needs a client with a model.", (_args, context) => {
    if (capabilitiesOf(context).sampling !== undefined) return text("the client has a model");
    throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { sampling: {} } });
  }),
  test_streaming_elicitation: run("Asks for a name.", () => inputRequired({ inputRequests: { user_name: askName() } })),
  test_trigger_tool_change: run("Says that the tools have changed.", (_args, _context, hooks) => {
    hooks.toolsChanged();
    return text("changed");
  }),
  test_trigger_prompt_change: run("Says that the prompts have changed.", (_args, _context, hooks) => {
    hooks.promptsChanged();
    return text("changed");
  }),
  test_input_required_result_elicitation: run("Asks for a name, then greets.", (_args, context) => {
    const name = accepted(context, "user_name")?.name;
    return typeof name === "string"
      ? text(`Hello, ${name}!`)
      : inputRequired({ inputRequests: { user_name: askName() } });
  }),
  test_input_required_result_sampling: run("Asks the client's model, then answers.", (_args, context) => {
    const answer = answers(context).capital_question;
    return answer === undefined
      ? inputRequired({ inputRequests: { capital_question: askModel("What is the capital of France?", 100) } })
      : text(JSON.stringify(answer.content));
  }),
  test_input_required_result_list_roots: run("Asks for the client's roots, then tells them.", (_args, context) => {
    const answer = answers(context).client_roots;
    return answer === undefined
      ? inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } })
      : text(JSON.stringify(answer.roots));
  }),
  test_input_required_result_request_state: run("Keeps its state with the client.", confirmed),
  test_input_required_result_tampered_state: run("Keeps its state with the client, sealed.", confirmed),
  test_input_required_result_multiple_inputs: run("Asks three things at once.", async (_args, context, hooks) => {
    const given = answers(context);
    if (["user_name", "greeting", "client_roots"].every((key) => given[key] !== undefined))
      return text(JSON.stringify(given));
    return inputRequired({
      inputRequests: {
        user_name: askName(),
        greeting: askModel("Generate a greeting", 50),
        client_roots: inputRequired.listRoots(),
      },
      requestState: await hooks.mintState({ step: "all" }),
    });
  }),
  test_input_required_result_multi_round: run("Asks twice.", async (_args, context, hooks) => {
    const state = context.mcpReq.requestState<{ step: number; name?: unknown }>();
    const name = accepted(context, "step1")?.name ?? state?.name;
    const color = accepted(context, "step2")?.color;
    if (state?.step === 2 && color !== undefined) return text(`${name} likes ${color}`);
    if (state === undefined || name === undefined) {
      const requestedSchema = formOf("name");
      return inputRequired({
        inputRequests: { step1: inputRequired.elicit({ message: "Step 1: What is your name?", requestedSchema }) },
        requestState: await hooks.mintState({ step: 1 }),
      });
    }
    const message = "Step 2: What is your favorite color?";
    return inputRequired({
      inputRequests: { step2: inputRequired.elicit({ message, requestedSchema: formOf("color") }) },
      requestState: await hooks.mintState({ step: 2, name }),
    });
  }),
  test_input_required_result_capabilities: run("Asks for what the client can do.", (_args, context) => {
    const capabilities = capabilitiesOf(context);
    if (Object.keys(answers(context)).length > 0) return text("answered");
    return inputRequired({
      inputRequests: {
        ...(capabilities.elicitation === undefined ? {} : { user_name: askName() }),
        ...(capabilities.sampling === undefined ? {} : { question: askModel("What is the capital of France?", 100) }),
        ...(capabilities.roots === undefined ? {} : { client_roots: inputRequired.listRoots() }),
      },
    });
  }),
};

export const FIXTURE_TOOLS: Tool[] = Object.entries(TOOLS).map(([name, { description, inputSchema }]) => ({
  name,
  description,
  inputSchema,
}));

/** Undefined for a tool that is none of these. */
export function callFixture(
  name: string,
  args: Record<string, unknown>,
  context: ServerContext,
  hooks: FixtureHooks,
): Promise<Result> | undefined {
  const tool = Object.hasOwn(TOOLS, name) ? TOOLS[name] : undefined;
  return tool === undefined ? undefined : (async () => tool.work(args, context, hooks))();
}

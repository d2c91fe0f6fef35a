import { anthropicMessages } from "./anthropic-messages.ts";
import { gemini } from "./gemini.ts";
import type { ModelApi } from "./model-api.ts";
import { openaiChat } from "./openai-chat.ts";
import { openaiResponses } from "./openai-responses.ts";

/** Their paths are apart, so that one server can be all of them. */
export const ALL_APIS: readonly ModelApi[] = [anthropicMessages, openaiResponses, openaiChat, gemini];

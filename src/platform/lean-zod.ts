import { registerHooks } from "node:module";

/**
 * Loaded for its effect, before anything that loads zod. zod's core loads its messages in some sixty languages, of which only the English ones are used
 * here: they take 9 MiB of an idle daemon. `z.locales` has no others then.
 */
const hooks = registerHooks({
  load(url, context, next) {
    if (!url.endsWith("/zod/v4/locales/index.js")) return next(url, context);
    hooks.deregister();
    return { format: "module", source: 'export { default as en } from "./en.js";', shortCircuit: true };
  },
});

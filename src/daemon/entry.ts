import "../platform/lean-zod.ts";

// Not before: what a static import names is loaded before any of this runs.
await import("./main.ts");

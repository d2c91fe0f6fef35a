/** Named sets of rules, for those who read configuration files and have nothing else to do with the network. */
export type { NamedSets } from "../../network/rule-text.ts";
export { createSets } from "../../network/sets.ts";

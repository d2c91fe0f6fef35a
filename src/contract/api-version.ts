/** The version of the HTTP API: a CLI and a daemon that differ in it do not talk. Apart from the schemas, which take a CLI long to load. */
export const API_VERSION = 2;
/** Header of every answer: what the daemon speaks, so that no request has to ask first. */
export const API_VERSION_HEADER = "firebreak-api-version";

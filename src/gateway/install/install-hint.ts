/** As npm, uv and what they are made of say that nobody vouches for a certificate. */
const UNTRUSTED =
  /SELF_SIGNED_CERT|UNABLE_TO_(?:GET_ISSUER|VERIFY)|CERTIFICATE_VERIFY_FAILED|UnknownIssuer|self[- ]signed certificate/i;

/** What there is to do about an installation that has failed, by what the installer has printed. */
export function installHint(output: string): string {
  return UNTRUSTED.test(output)
    ? 'This network opens TLS itself, with a certificate that VMs do not know. Name it in firebreak.toml of $FIREBREAK_HOME: [network] trust = ["/path/ca.pem"]'
    : "Its build VM reaches the registries of this host's package managers, and nothing else.";
}

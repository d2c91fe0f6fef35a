import { createECDH, createHash, createPrivateKey, type KeyObject, randomBytes, webcrypto } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";

/** The certificates of hosts that are kept, the newest. */
const MAX_LEAVES = 500;
const DAY_MS = 24 * 3600 * 1000;
/** Clients refuse leaves of more than 825 days, and a guest's clock may be behind. */
const LEAF_DAYS = 90;
/** The order of the curve (SEC 2, secp256r1): a private key is below it, and not 0. */
const ORDER = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNING = { ...ALGORITHM, hash: "SHA-256" } as const;

/**
 * The certificate authority of one VM. Its key is derived, not kept: the next daemon comes to the same one, so that what a guest's programs have read of
 * its certificate holds, and no file has it.
 */
export class Authority {
  readonly #name: string;
  readonly #scalar: () => Buffer;
  #keys: Promise<{ ca: CryptoKeyPair; leaf: CryptoKeyPair; leafPem: string; certificate: string }> | undefined;
  readonly #leaves = new Map<string, { context: SecureContext; untilMs: number }>();

  /** `derive` gives 32 bytes for a purpose, the same each time. */
  constructor(vmId: string, derive: (purpose: string) => Buffer) {
    this.#name = `CN=firebreak VM ${vmId}, O=firebreak`;
    // When it is needed: most VMs do without.
    this.#scalar = () => toScalar((attempt) => derive(`CA ${vmId} ${attempt}`));
  }

  /** Its certificate, PEM. */
  async certificate(): Promise<string> {
    return (await this.#load()).certificate;
  }

  /** What a server of that name shows. */
  async contextFor(name: string): Promise<SecureContext> {
    const known = this.#leaves.get(name);
    if (known !== undefined && known.untilMs > Date.now()) return known.context;
    const { ca, leaf, leafPem, certificate } = await this.#load();
    const x509 = await loadX509();
    const untilMs = Date.now() + LEAF_DAYS * DAY_MS;
    const issued = await x509.X509CertificateGenerator.create({
      serialNumber: randomBytes(16).toString("hex"),
      // A common name has at most 64 characters; clients go by the other one.
      subject: `CN=${name.length <= 64 ? name : "firebreak"}`,
      issuer: this.#name,
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(untilMs),
      signingAlgorithm: SIGNING,
      publicKey: leaf.publicKey,
      signingKey: ca.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension([{ type: "dns", value: name }]),
        await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey),
      ],
    });
    const context = createSecureContext({ key: leafPem, cert: `${issued.toString("pem")}\n${certificate}` });
    if (this.#leaves.size >= MAX_LEAVES) this.#leaves.delete(this.#leaves.keys().next().value as string);
    this.#leaves.set(name, { context, untilMs: untilMs - DAY_MS });
    return context;
  }

  #load() {
    this.#keys ??= this.#make();
    return this.#keys;
  }

  async #make() {
    const x509 = await loadX509();
    const ca = await importPair(this.#scalar());
    const leaf = (await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"])) as CryptoKeyPair;
    const leafPkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", leaf.privateKey));
    const leafKey: KeyObject = createPrivateKey({ key: leafPkcs8, format: "der", type: "pkcs8" });
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      // Of the name and key that it stands for: another daemon's has the same.
      serialNumber: createHash("sha256").update(this.#name).digest("hex").slice(0, 30),
      name: this.#name,
      notBefore: new Date("2020-01-01T00:00:00Z"),
      notAfter: new Date("2049-12-31T00:00:00Z"),
      signingAlgorithm: SIGNING,
      keys: ca,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(ca.publicKey),
      ],
    });
    const leafPem = String(leafKey.export({ format: "pem", type: "pkcs8" }));
    return { ca, leaf, leafPem, certificate: certificate.toString("pem") };
  }
}

type CryptoKeyPair = webcrypto.CryptoKeyPair;

/** Only when TLS is opened: it takes some megabytes. */
async function loadX509() {
  // The library's dependency injection wants it to be there before.
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  x509.cryptoProvider.set(webcrypto);
  return x509;
}

function toScalar(candidate: (attempt: number) => Buffer): Buffer {
  for (let attempt = 0; ; attempt++) {
    const bytes = candidate(attempt);
    const value = BigInt(`0x${bytes.toString("hex")}`);
    if (value > 0n && value < ORDER) return bytes;
  }
}

async function importPair(scalar: Buffer): Promise<CryptoKeyPair> {
  const curve = createECDH("prime256v1");
  curve.setPrivateKey(scalar);
  const point = curve.getPublicKey();
  const jwk = {
    kty: "EC",
    crv: "P-256",
    x: point.subarray(1, 33).toString("base64url"),
    y: point.subarray(33, 65).toString("base64url"),
  };
  const { subtle } = webcrypto;
  const [privateKey, publicKey] = await Promise.all([
    subtle.importKey("jwk", { ...jwk, d: scalar.toString("base64url") }, ALGORITHM, true, ["sign"]),
    subtle.importKey("jwk", jwk, ALGORITHM, true, ["verify"]),
  ]);
  return { privateKey, publicKey };
}

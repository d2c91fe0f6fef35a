/** A request of a mount's, field by field, as a guest agent would make it, or as none would. */
export class Request {
  readonly #op: number;
  readonly #fields: Buffer[] = [];
  #isRetry = false;

  constructor(op: number) {
    this.#op = op;
  }

  u8(value: number): this {
    this.#fields.push(Buffer.of(value));
    return this;
  }

  u32(value: number): this {
    const field = Buffer.alloc(4);
    field.writeUInt32BE(value);
    this.#fields.push(field);
    return this;
  }

  u64(value: number | bigint): this {
    const field = Buffer.alloc(8);
    field.writeBigUInt64BE(BigInt(value));
    this.#fields.push(field);
    return this;
  }

  path(text: string | Buffer): this {
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(bytes.length);
    this.#fields.push(length, bytes);
    return this;
  }

  raw(bytes: string | Buffer): this {
    this.#fields.push(Buffer.from(bytes));
    return this;
  }

  retry(): this {
    this.#isRetry = true;
    return this;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#fields);
  }

  /** Without its length. */
  frame(id = 7n): Buffer {
    const head = Buffer.alloc(10);
    head.writeBigUInt64BE(id);
    head[8] = this.#op;
    head[9] = this.#isRetry ? 1 : 0;
    return Buffer.concat([head, ...this.#fields]);
  }

  /** With its length. */
  framed(id = 7n): Buffer {
    const frame = this.frame(id);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(frame.length);
    return Buffer.concat([length, frame]);
  }
}

/** Rows of which one sum is kept. */
const CHUNK = 512;

/**
 * Heights of many rows, guessed until they are known. Where a row begins, and which one is at a place, is found by sums of many rows at once: a row that turns
 * out higher than it was guessed costs nothing for the hundred thousand behind it.
 */
export class RowSizes {
  readonly #sizes: number[] = [];
  readonly #sums: number[] = [];
  #total = 0;

  get count(): number {
    return this.#sizes.length;
  }

  get total(): number {
    return this.#total;
  }

  /** There are so many rows now; `guess` is asked for the heights of those that are new. */
  grow(count: number, guess: (index: number) => number): void {
    for (let index = this.#sizes.length; index < count; index++) {
      const size = guess(index);
      this.#sizes.push(size);
      const chunk = Math.floor(index / CHUNK);
      this.#sums[chunk] = (this.#sums[chunk] ?? 0) + size;
      this.#total += size;
    }
  }

  /** A row is so high; returns by how much that differs from what was known. */
  set(index: number, size: number): number {
    const before = this.#sizes[index];
    if (before === undefined || before === size) return 0;
    const chunk = Math.floor(index / CHUNK);
    this.#sizes[index] = size;
    this.#sums[chunk] = (this.#sums[chunk] ?? 0) + size - before;
    this.#total += size - before;
    return size - before;
  }

  sizeOf(index: number): number {
    return this.#sizes[index] ?? 0;
  }

  /** Where a row begins. */
  offsetOf(index: number): number {
    const chunk = Math.floor(index / CHUNK);
    let offset = 0;
    for (let at = 0; at < chunk; at++) offset += this.#sums[at] ?? 0;
    for (let at = chunk * CHUNK; at < index; at++) offset += this.#sizes[at] ?? 0;
    return offset;
  }

  /** The row at a place: the first one before all, the last one behind all; 0 where there is none. */
  indexAt(offset: number): number {
    let chunk = 0;
    let left = offset;
    for (; chunk < this.#sums.length - 1 && left >= (this.#sums[chunk] ?? 0); chunk++) left -= this.#sums[chunk] ?? 0;
    let index = chunk * CHUNK;
    for (; index < this.#sizes.length - 1 && left >= (this.#sizes[index] ?? 0); index++)
      left -= this.#sizes[index] ?? 0;
    return Math.min(index, Math.max(0, this.#sizes.length - 1));
  }
}

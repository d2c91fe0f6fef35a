import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RowSizes } from "./row-sizes.ts";

test("rows begin where those before them end, whatever is measured when", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 1_500 }),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 300 })), { maxLength: 50 }),
      fc.nat(500_000),
      (guesses, measured, place) => {
        const sizes = new RowSizes();
        sizes.grow(Math.ceil(guesses.length / 2), (index) => guesses[index] as number);
        sizes.grow(guesses.length, (index) => guesses[index] as number);
        const plain = [...guesses];
        for (const [at, size] of measured) {
          const index = at % plain.length;
          assert.equal(sizes.set(index, size), size - (plain[index] as number));
          plain[index] = size;
        }
        const total = plain.reduce((sum, size) => sum + size, 0);
        assert.equal(sizes.total, total);
        let offset = 0;
        let found = plain.length - 1;
        for (const [index, size] of plain.entries()) {
          if (index % 97 === 0) assert.equal(sizes.offsetOf(index), offset);
          if (place >= offset && place < offset + size) found = index;
          offset += size;
        }
        assert.equal(sizes.indexAt(place), found);
      },
    ),
  );
});

test("without rows there is a first one all the same, and nothing before it", () => {
  const sizes = new RowSizes();
  assert.deepEqual([sizes.indexAt(10), sizes.offsetOf(0), sizes.total, sizes.set(3, 10)], [0, 0, 0, 0]);
});

import assert from "node:assert/strict";
import type { Page } from "playwright-core";

/** What becomes a program or an element where text is taken for markup; each sets `window.injected`. */
export const INJECTIONS = [
  `<img src=x onerror="window.injected = 1">`,
  `<svg onload="window.injected = 1"></svg>`,
  `</pre></textarea></title><script>window.injected = 1</script>`,
  `"><iframe srcdoc="<script>parent.injected = 1</script>"></iframe>`,
  `<a href="javascript:window.injected = 1">click</a>`,
  `{{constructor.constructor('window.injected = 1')()}}`,
];

/** Asserts that none of them has become anything, and that the page still answers. */
export async function assertNotInjected(page: Page): Promise<void> {
  const found = (await page.evaluate(`({
    injected: window.injected === undefined ? "no" : "yes",
    title: document.title.endsWith("· firebreak"),
    elements: document.querySelectorAll(
      "body script:not([src]), iframe, object, embed, [onerror], [onload], [srcdoc], img[src='x'], a[href^='javascript:'], style, [style*=url]",
    ).length,
  })`)) as object;
  assert.deepEqual(found, { injected: "no", title: true, elements: 0 });
}

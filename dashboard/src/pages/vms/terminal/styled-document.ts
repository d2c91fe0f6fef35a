/**
 * xterm.js makes <style> elements and sets `style` attributes, both of which our content security policy refuses: a page in which somebody else's text could
 * become style would be one in which it can hide things. Here the same goes by the object model, which no markup reaches.
 */

/** In the place of a <style>: what is written into it becomes a style sheet of the document's. */
function makeStyle(): HTMLElement {
  const element = document.createElement("span");
  element.hidden = true;
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  Object.defineProperty(element, "textContent", { set: (text: string) => sheet.replaceSync(text) });
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
    Element.prototype.remove.call(element);
  };
  return element;
}

/** Does something during which no <style> is made: xterm.js makes all of its own when it is opened. */
export function withoutStyleElements(work: () => void): void {
  const createElement = (name: string) =>
    name === "style" ? makeStyle() : Document.prototype.createElement.call(document, name);
  document.createElement = createElement as typeof document.createElement;
  try {
    work();
  } finally {
    Reflect.deleteProperty(document, "createElement");
  }
}

/** Colours beyond the 256 are `style` attributes of spans, made with each line that is drawn. Nothing else of ours sets one. */
export function allowStyleOfSpans(): void {
  HTMLSpanElement.prototype.setAttribute = function (this: HTMLSpanElement, name: string, value: string) {
    if (name === "style") this.style.cssText = value;
    else Element.prototype.setAttribute.call(this, name, value);
  };
}

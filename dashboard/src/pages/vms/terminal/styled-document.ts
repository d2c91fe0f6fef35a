/**
 * xterm.js makes <style> elements and sets `style` attributes, both of which our content security policy refuses: a page in which somebody else's text could
 * become style would be one in which it can hide things. Through these, the same goes by the object model, which no markup reaches.
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

function createElement(name: string): HTMLElement {
  if (name === "style") return makeStyle();
  const element = Document.prototype.createElement.call(document, name);
  element.setAttribute = (attribute: string, value: string) => {
    if (attribute === "style") element.style.cssText = value;
    else Element.prototype.setAttribute.call(element, attribute, value);
  };
  return element;
}

/** What xterm.js takes as its `documentOverride`: the document, but for the elements that it makes. */
export function styledDocument(): Document {
  return new Proxy(document, {
    get(target, name) {
      if (name === "createElement") return createElement;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}

/** Does something during which elements are made in the same way: xterm.js makes one of its styles past the document that it is given. */
export function withStyledDocument(work: () => void): void {
  document.createElement = createElement as typeof document.createElement;
  try {
    work();
  } finally {
    Reflect.deleteProperty(document, "createElement");
  }
}

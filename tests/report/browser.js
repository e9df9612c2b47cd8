// Measures a report in three frames. The result is the text of the element `result`.
const contrastOf = (first, second) => {
  const luminance = (color) => {
    const [r, g, b] = color.map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [high, low] = [luminance(first), luminance(second)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
};
const parts = (color) => {
  const found = color.match(/[\d.]+/g).map(Number);
  return { rgb: found.slice(0, 3), alpha: found.length > 3 ? found[3] : 1 };
};
const backgroundOf = (element, view) => {
  for (let each = element; each; each = each.parentElement) {
    const color = parts(view.getComputedStyle(each).backgroundColor);
    if (color.alpha === 1) return color.rgb;
    if (color.alpha !== 0) throw new Error("a background is translucent");
  }
  throw new Error("the page has no background");
};
const describe = (element) => `${element.tagName.toLowerCase()}.${element.getAttribute("class") || ""}`;

const measure = (frame) => {
  const view = frame.contentWindow;
  const page = frame.contentDocument;
  for (const each of page.querySelectorAll("details")) each.open = true;
  const width = page.documentElement.clientWidth;
  const overflowing = new Set();
  const faint = new Set();
  let texts = 0;
  const walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest(".hidden") || !element.getClientRects().length) continue;
    texts += 1;
    const style = view.getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const found = contrastOf(parts(style.color).rgb, backgroundOf(element, view));
    if (found < (large ? 3 : 4.5)) faint.add(`${describe(element)} ${found.toFixed(2)}`);
  }
  for (const element of page.querySelectorAll("rect, .key")) {
    const style = view.getComputedStyle(element);
    const color = element.tagName === "rect" ? style.fill : style.backgroundColor;
    const found = contrastOf(parts(color).rgb, backgroundOf(element.parentElement, view));
    if (found < 3) faint.add(`${describe(element)} ${found.toFixed(2)}`);
  }
  for (const element of page.body.querySelectorAll("*")) {
    if (element.closest(".hidden, .scroll, thead")) continue;
    const box = element.getBoundingClientRect();
    if (box.width && (box.right > width + 1 || box.left < -1)) overflowing.add(describe(element));
  }
  return {
    width,
    scrollWidth: page.documentElement.scrollWidth,
    dark: view.matchMedia("(prefers-color-scheme: dark)").matches,
    texts,
    overflowing: [...overflowing],
    faint: [...faint],
    tags: [...page.querySelectorAll("*")].map((each) => each.tagName.toLowerCase()).join(" "),
  };
};
addEventListener("load", () => {
  let result;
  try {
    result = [...document.querySelectorAll("iframe")].map(measure);
  } catch (error) {
    result = String(error);
  }
  document.getElementById("result").textContent = JSON.stringify(result);
});

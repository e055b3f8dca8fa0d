// A block of code or a table that is wider than the page scrolls; then the keyboard must reach it too.
function reach(block) {
  if (block.scrollWidth > block.clientWidth) block.tabIndex = 0;
  else block.removeAttribute("tabindex");
}
const resized = new ResizeObserver((changes) => changes.forEach((change) => reach(change.target)));
for (const block of document.querySelectorAll("article pre, article .table-wrapper")) {
  reach(block);
  resized.observe(block);
}

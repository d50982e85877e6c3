(() => {
  const hidden = (it) => it.closest("caption, thead, label, [hidden], script, style, title") !== null;
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} wide`);
  for (const it of document.body.querySelectorAll("*")) {
    if (hidden(it) || !it.checkVisibility()) continue;
    const { left, right, width } = it.getBoundingClientRect();
    const name = `${it.tagName} ${it.className.baseVal ?? it.className}: ${it.textContent.slice(0, 60)}`;
    if (width && (left < -1 || right > root.clientWidth + 1)) found.push(`${name} from ${left} to ${right}`);
    if (/^(TH|TD|LI|P|SPAN|H\d|DIV|DD|DT|B)$/.test(it.tagName) && it.clientWidth && it.scrollWidth > it.clientWidth + 1) {
      found.push(`${name} has ${it.scrollWidth} in ${it.clientWidth}`);
    }
  }
  return found.slice(0, 10);
})()

(() => {
  const colour = (text) => {
    const all = text.match(/[\d.]+/g).map(Number);
    return all.length < 4 ? [...all, 1] : all;
  };
  const light = (all) => {
    const [r, g, b] = all.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (of) => {
    for (let it = of; it; it = it.parentElement) {
      const all = colour(getComputedStyle(it).backgroundColor);
      if (all[3] === 1) return all;
    }
    return [255, 255, 255, 1];
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const it = text.parentElement;
    if (!text.data.trim() || it.closest("script, style, title, caption") || !it.checkVisibility()) continue;
    const style = getComputedStyle(it);
    const [a, b] = [light(colour(it.closest("svg") ? style.fill : style.color)), light(ground(it))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) found.push(`${contrast.toFixed(2)}: ${text.data.trim().slice(0, 60)}`);
  }
  return found.slice(0, 10);
})()

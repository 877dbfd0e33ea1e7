// Gives each code box its Copy button.

const part = (name) => document.querySelector(`template[data-template="${name}"]`).content.cloneNode(true);

function copyBySelection(code) {
  const range = document.createRange();
  range.selectNodeContents(code);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
  // The only way on a page without TLS, which a printer at home usually is.
  return document.execCommand('copy');
}

async function copy(code) {
  if (!navigator.clipboard) return copyBySelection(code);
  try {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch {
    return copyBySelection(code);
  }
}

for (const box of document.querySelectorAll('[data-copy]')) {
  const code = box.querySelector('code');
  box.append(part('copy'));
  const button = box.querySelector('button');
  button.setAttribute('aria-live', 'polite');
  button.addEventListener('click', async () => {
    if (await copy(code)) button.replaceChildren(part('copied'));
  });
}

// A place for the reader's prediction, below the question of a chapter. It stays in this browser: nothing is sent.
(() => {
  "use strict";
  const answer = document.querySelector("details.our-answer");
  if (!answer) return;
  const key = "prediction:" + location.pathname.split("/").pop();
  // A browser may refuse to keep anything, for example for pages from a file.
  const stored = (value) => {
    try {
      if (value === undefined) return localStorage.getItem(key) ?? "";
      localStorage.setItem(key, value);
    } catch { /* The prediction is kept only as long as the page is open. */ }
    return "";
  };
  const box = document.createElement("div");
  box.className = "prediction";
  const label = document.createElement("label");
  label.textContent = "Your prediction";
  const field = document.createElement("textarea");
  field.rows = 3;
  field.placeholder = "Write it down before you open ours. It stays in this browser.";
  field.value = stored();
  field.addEventListener("input", () => stored(field.value));
  // The keys of the book, such as the arrows that turn pages, are letters here.
  field.addEventListener("keydown", (event) => event.stopPropagation());
  label.append(field);
  box.append(label);
  answer.before(box);
})();

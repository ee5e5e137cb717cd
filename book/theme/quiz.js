// The arrow keys choose an answer in a question; without this, the book would turn its pages at the same time.
(() => {
  "use strict";
  for (const question of document.querySelectorAll(".quiz-question")) {
    question.addEventListener("keydown", (event) => event.stopPropagation());
  }
})();

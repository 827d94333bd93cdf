// Keeps the figures of the status page fresh while it stays open.
setInterval(async () => {
  const figures = document.getElementById("figures");
  try {
    const answer = await fetch("/figures");
    if (!answer.ok) throw new Error(answer.statusText);
    figures.innerHTML = await answer.text();
    figures.classList.remove("stale");
  } catch {
    // The process was stopped, or can't be reached: what is shown is old, and must look so.
    figures.classList.add("stale");
  }
}, 2000);

const form = document.querySelector("form");
form.sort.addEventListener("change", () => form.submit());

// Offers whole values while words are typed; an answer that comes after a newer question is left alone.
let asked = 0;
form.q.addEventListener("input", async () => {
  const question = ++asked;
  await new Promise((resolve) => setTimeout(resolve, 150));
  if (question !== asked) return;
  const answer = await fetch(`/suggest?${new URLSearchParams({ q: form.q.value })}`).catch(() => null);
  const values = answer?.ok ? await answer.json() : [];
  if (question !== asked) return;
  const options = values.map((value) => Object.assign(document.createElement("option"), { value }));
  document.getElementById("suggestions").replaceChildren(...options);
});

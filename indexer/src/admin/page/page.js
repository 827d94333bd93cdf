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

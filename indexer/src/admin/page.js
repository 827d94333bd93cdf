// Keeps the figures of the status page fresh while it stays open.
setInterval(async () => {
  try {
    const status = await (await fetch("/status.json")).json();
    const show = (name, value) => {
      const place = document.querySelector(`[data-figure="${name}"]`);
      if (place) place.textContent = value;
    };
    show("state", status.state);
    show("documents", status.documents);
    show("waiting", status.lag.live + status.lag.backfill);
    show("held", status.held);
    show("dead letters", status.dead_letters);
    if (status.freshness) show("freshness p50", `${status.freshness.p50} ms`);
    if (status.backfill) show("backfill", `${status.backfill.rebuilt} of ${status.backfill.enumerated}`);
  } catch { /* the process was stopped; the last figures stay */ }
}, 2000);

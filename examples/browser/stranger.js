// A page of an origin that the API does not know. It tries what it is told to, and says how that went.
addEventListener("message", async ({ data: { url, headers }, source, origin }) => {
  const outcome = await fetch(url, { headers }).then(
    (answer) => `${answer.status}`,
    (error) => error.name,
  );
  source.postMessage(outcome, origin);
});
parent.postMessage("ready", "*");

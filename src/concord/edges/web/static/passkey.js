// Passkeys: the only thing on these pages that needs JavaScript. What needs it is hidden until it runs.
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function post(path, fields) {
  const answer = await fetch(path, { method: "POST", body: new URLSearchParams(fields), redirect: "follow" });
  if (!answer.ok) throw new Error((new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".lead") || {}).textContent || answer.status);
  return answer;
}

async function signIn(csrf) {
  const options = await (await post("/passkey/begin", { csrf })).json();
  options.challenge = bytes(options.challenge);
  (options.allowCredentials || []).forEach((key) => { key.id = bytes(key.id); });
  const made = await navigator.credentials.get({ publicKey: options });
  const { clientDataJSON, authenticatorData, signature, userHandle } = made.response;
  const response = { clientDataJSON: text(clientDataJSON), authenticatorData: text(authenticatorData), signature: text(signature), userHandle: userHandle && text(userHandle) };
  location.assign((await post("/passkey", { csrf, answer: JSON.stringify({ id: made.id, rawId: made.id, type: made.type, response }) })).url);
}

async function add(csrf, label) {
  const options = await (await post("/account/passkeys/begin", { csrf })).json();
  options.challenge = bytes(options.challenge);
  options.user.id = bytes(options.user.id);
  (options.excludeCredentials || []).forEach((key) => { key.id = bytes(key.id); });
  const made = await navigator.credentials.create({ publicKey: options });
  const response = { clientDataJSON: text(made.response.clientDataJSON), attestationObject: text(made.response.attestationObject) };
  await post("/account/passkeys", { csrf, label, answer: JSON.stringify({ id: made.id, rawId: made.id, type: made.type, response }) });
  location.reload();
}

if (window.PublicKeyCredential) {
  for (const place of document.querySelectorAll("[data-passkey]")) {
    const say = (error) => { place.querySelector("[role=alert]").textContent = error.message || String(error); };
    place.hidden = false;
    place.querySelector("button").addEventListener("click", () => {
      const work = place.dataset.passkey === "add" ? add(place.dataset.csrf, place.querySelector("input").value) : signIn(place.dataset.csrf);
      work.catch(say);
    });
  }
}

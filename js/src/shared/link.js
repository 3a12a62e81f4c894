/** Requests to the kernel: numbered, acknowledged, and never in the way of what the browser can do alone. */

/** @typedef {{ get(key: string): any, on(name: string, f: Function): void, off(name: string, f: Function): void, send(content: any): void }} Model */

const PATIENCE = 500;
const SILENCE = 3000;

/**
 * Requests go out as custom messages, not as traits: ipykernel 7.4 may never confirm a trait that is set while an async
 * cell runs, and the browser would then hold back all later ones.
 * @param {Model} model
 * @param {(state: "live" | "waiting" | "silent", error: string) => void} report called when the state of the kernel changes
 * @param {Record<string, () => any>} [changes] called when a trait changes
 * @param {(message: any) => void} [onMessage] called with what else Python sends
 */
export function connect(model, report, changes = {}, onMessage = undefined) {
  const view = Math.random().toString(36).slice(2);
  let sent = 0;
  let acknowledged = 0;
  let heard = false;
  /** @type {(((error: string) => void) | undefined)[]} */
  const answers = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      report("waiting", "");
      if (!heard) timer = setTimeout(() => report("silent", ""), SILENCE - PATIENCE);
    }, PATIENCE);
  };
  const receive = (/** @type {any} */ message) => {
    onMessage?.(message);
    if (message?.op === "alone") {
      clearTimeout(timer);
      report("silent", "");
    }
    if (message?.op !== "ack" || message.view !== view || !(message.seq <= sent)) return;
    heard = true;
    acknowledged = Math.max(acknowledged, message.seq);
    if (acknowledged === sent) clearTimeout(timer);
    const { error = "" } = message;
    answers[message.seq]?.(error);
    report("live", error);
  };
  const listen = (/** @type {"on" | "off"} */ how) => {
    model[how]("msg:custom", receive);
    for (const name in changes) model[how](`change:${name}`, changes[name]);
  };
  listen("on");

  return {
    /** True while the kernel has not yet taken in all that was asked. */
    get pending() {
      return acknowledged < sent;
    },
    /** @param {Record<string, any>} content @param {(error: string) => void} [answer] called with what went wrong, or "" */
    send(content, answer) {
      sent += 1;
      answers[sent] = answer;
      wait();
      model.send({ ...content, view, seq: sent });
    },
    close() {
      clearTimeout(timer);
      listen("off");
    },
  };
}

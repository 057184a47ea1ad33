// The answer: the label or number in large type, probabilities, where the time went, and what went wrong.

import { bars } from "./bars.js";
import { element, section } from "./dom.js";
import { number, percent, withoutRow } from "./format.js";
import { timing } from "./timing.js";

const SPEAK_AFTER_MS = 700; // a screen reader hears an answer once it rests

/**
 * The panel for answers of a version. `show` takes what `predict` gives, `refuse` a `Problem`. While the panel is below
 * the window, as on a phone, the answer stands at its lower edge.
 */
export function answerPanel(model) {
  const headline = element("p", { id: "headline", class: "headline" }, "–");
  const note = element("p", { id: "answer-note", class: "quiet" });
  const problem = element("p", { id: "answer-problem", class: "problem", role: "alert", hidden: true });
  const spoken = element("p", { id: "answer-spoken", class: "spoken", role: "status" });
  const chart = bars();
  const clock = timing();
  const brief = element("p", { id: "answer-brief", class: "brief", "aria-hidden": "true", hidden: true });
  const node = section("answer", "Answer", problem, headline, note, chart.node, clock.node, spoken, brief);
  new IntersectionObserver(([{ isIntersecting, boundingClientRect }]) => {
    brief.hidden = isIntersecting || boundingClientRect.top < 0;
  }).observe(headline);
  let speaking;

  function show({ answer, stages, total, warning }) {
    const [said, remark] = model.task === "regression" ? value(answer) : label(answer);
    node.classList.remove("stale");
    problem.hidden = true;
    headline.textContent = said;
    headline.classList.toggle("several", said.includes("\n"));
    note.textContent = warning ?? remark;
    brief.textContent = `${said} ${answer.probabilities ? percent(Math.max(...answer.probabilities[0])) : ""}`;
    clock.show(stages, total);
    speak(`${said}. ${note.textContent}`);
  }

  function label({ predictions, probabilities, classes }) {
    chart.show(model.labels, probabilities[0]);
    return [String(predictions[0]), `with a probability of ${percent(probabilities[0][classes[0]])}`];
  }

  function value({ predictions }) {
    const values = [predictions[0]].flat();
    const said = values.map((each, index) =>
      values.length > 1 ? `${model.targets[index]}: ${number(each)}` : number(each),
    );
    return [said.join("\n"), values.length > 1 ? "" : `${model.targets[0]}${usualError(model.scores)}`];
  }

  function refuse(error) {
    node.classList.add("stale");
    problem.hidden = false;
    problem.textContent = brief.textContent = withoutRow(error.message);
  }

  function speak(text) {
    clearTimeout(speaking);
    speaking = setTimeout(() => (spoken.textContent = text), SPEAK_AFTER_MS);
  }

  return { node, show, refuse };
}

function usualError(scores) {
  const error = Object.values(scores)[0]?.mae;
  return error == null ? "" : `, off by ${number(error)} on average on the test rows`;
}

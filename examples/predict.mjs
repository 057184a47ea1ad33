// Call the service with fetch, in Node.js or a browser.
const url = globalThis.process?.argv[2] ?? "http://localhost:8000";

async function predict(inputs) {
  const response = await fetch(`${url}/predict?top_k=2`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ inputs }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${answer.status} ${answer.title}: ${answer.detail}`);
  return answer;
}

const blank = new Array(28 * 28).fill(0); // a row is flat or 28 lists of 28 numbers, from 0 to 255
const answer = await predict([blank]);
console.log(`version ${answer.version} predicts ${answer.predictions[0]}, best two:`, answer.top_k.predictions[0]);

try {
  await predict([[1, 2, 3]]);
} catch (error) {
  console.log(error.message);
}

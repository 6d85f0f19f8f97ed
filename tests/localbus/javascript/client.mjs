// Drives a bus with @azure/service-bus and prints what happened as one line of JSON.
// usage: node client.mjs CONNECTION_STRING QUEUE SESSION_QUEUE
import { ServiceBusClient } from "@azure/service-bus";

const [connectionString, queue, sessionQueue] = process.argv.slice(2);
const client = new ServiceBusClient(connectionString, { retryOptions: { maxRetries: 0 } });
const wait = { maxWaitTimeInMs: 10_000 };
const seen = {};

const sender = client.createSender(queue);
const receiver = client.createReceiver(queue);
// this client cannot settle a message that has no id
const message = (body, sessionId) => ({ body, sessionId, messageId: body });
const one = async (from = receiver) => (await from.receiveMessages(1, wait))[0];

// send and receive, alone and in a batch
await sender.sendMessages({ body: "alone", messageId: "m1", applicationProperties: { n: 7 } });
const alone = await one();
seen.alone = [alone.body, alone.messageId, alone.applicationProperties.n];
await receiver.completeMessage(alone);

const batch = await sender.createMessageBatch();
for (const body of ["complete", "abandon", "defer", "dead"]) batch.tryAddMessage(message(body));
await sender.sendMessages(batch);

// every settlement
await receiver.completeMessage(await one());
const abandoned = await one();
await receiver.abandonMessage(abandoned);
const again = await one();
seen.again = [again.body, again.deliveryCount];
await receiver.completeMessage(again);
const deferred = await one();
await receiver.deferMessage(deferred);
const [asked] = await receiver.receiveDeferredMessages(deferred.sequenceNumber);
seen.deferred = asked.body;
await receiver.completeMessage(asked);
const dead = await one();
await receiver.renewMessageLock(dead);
await receiver.deadLetterMessage(dead, { deadLetterReason: "why", deadLetterErrorDescription: "x" });
const deadLetters = client.createReceiver(queue, { subQueueType: "deadLetter" });
const buried = await one(deadLetters);
seen.dead = [buried.body, buried.deadLetterReason];
await deadLetters.completeMessage(buried);

// schedules, one cancelled; peek sees what waits
const due = new Date(Date.now() + 3_600_000);
const numbers = await sender.scheduleMessages([message("never"), message("later")], due);
await sender.cancelScheduledMessages(numbers[0]);
seen.peeked = (await receiver.peekMessages(10)).map((each) => [each.body, each.state]);

// sessions
const sessions = client.createSender(sessionQueue);
for (const body of ["a1", "b1", "a2"]) await sessions.sendMessages(message(body, body[0]));
const named = await client.acceptSession(sessionQueue, "a");
seen.session = [];
for (let i = 0; i < 2; i++) {
  const step = await one(named);
  seen.session.push(step.body);
  await named.completeMessage(step);
}
await named.setSessionState("halfway");
seen.state = String(await named.getSessionState());
await named.renewSessionLock();
const next = await client.acceptNextSession(sessionQueue);
seen.next = next.sessionId;
await next.completeMessage(await one(next));

await client.close();
console.log(JSON.stringify(seen));

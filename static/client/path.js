// What the browser knows of the path between two peers, in the words and figures a person can use.

/**
 * Return what a connection's path is like, from the report of `RTCPeerConnection.getStats()`.
 * Times are in milliseconds, sizes in bytes; what the browser does not tell is null.
 */
export function pathOf(report) {
  const stats = new Map();
  report.forEach((entry) => stats.set(entry.id, entry));
  const pair = selectedPair(stats);
  const local = stats.get(pair?.localCandidateId);
  const remote = stats.get(pair?.remoteCandidateId);
  const relayed = [local, remote].some((candidate) => candidate?.candidateType === "relay");
  const seconds = pair?.currentRoundTripTime;
  return {
    path: pair ? (relayed ? "relayed" : "direct") : null,
    roundTripTime: seconds === undefined ? null : seconds * 1000,
    protocol: local?.relayProtocol ?? local?.protocol ?? null,
    localCandidate: local?.candidateType ?? null,
    remoteCandidate: remote?.candidateType ?? null,
    bytesSent: pair?.bytesSent ?? 0,
    bytesReceived: pair?.bytesReceived ?? 0,
  };
}

/** Say in words why no path was found; `problems` are icecandidateerror events of the attempt. */
export function whyNoPath(name, { configuration, problems, answered }) {
  if (!answered) return `“${name}” did not answer. Perhaps nothing there takes calls just now.`;
  const servers = (configuration.iceServers ?? []).flatMap((server) => server.urls);
  const relays = servers.filter((url) => /^turns?:/.test(url));
  if (relays.length === 0) {
    return (
      `No network path to “${name}” was found. A relay would help, but the server names none: ` +
      "whoever runs it can set PRESENCE_TURN_URLS."
    );
  }
  const refused = problems.find((problem) => problem.errorCode === 401);
  if (refused) {
    return `The relay ${refused.url} refused its credentials, and no other path to “${name}” was found.`;
  }
  const silent = problems.find((problem) => problem.errorCode >= 700 && /^turns?:/.test(problem.url));
  if (silent) {
    return `The relay ${silent.url} does not answer, and no other path to “${name}” was found.`;
  }
  return `No network path to “${name}” was found, not even through the relay.`;
}

/** Tell whether an offer is of another RTCPeerConnection than the one that `pc` has negotiated with. */
export function isOfAnother(offer, pc, remoteId) {
  const known = pc?.remoteDescription;
  if (!known) return false;
  if (offer.from_connection) return offer.from_connection !== remoteId;
  return fingerprints(offer.sdp) !== fingerprints(known.sdp);
}

/** Return the certificates' fingerprints in a session description, which tell connections apart. */
function fingerprints(sdp) {
  return [...new Set(sdp.match(/^a=fingerprint:.*$/gim) ?? [])].sort().join("\n").toUpperCase();
}

function selectedPair(stats) {
  for (const entry of stats.values()) {
    if (entry.type === "transport" && entry.selectedCandidatePairId) {
      return stats.get(entry.selectedCandidatePairId);
    }
  }
  // Firefox marks the pair itself.
  return [...stats.values()].find(
    (entry) =>
      entry.type === "candidate-pair" &&
      (entry.selected ?? (entry.nominated && entry.state === "succeeded")),
  );
}

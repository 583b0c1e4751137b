// Claims as judged in Python: sentence, verdict, and reasons with every number. Nothing is decided here.

import type { JSX } from "preact";
import { withNames } from "./classes";
import type { ClaimData } from "./data";
import type { Lab } from "./lab";
import { short } from "./names";
import { Fold, Hint, Say } from "./parts";
import { words } from "./words";

export function Claims({ claims }: { claims: ClaimData[] }): JSX.Element {
  return (
    <ul class="claims">
      {claims.map((claim) => (
        <li key={claim.id} class="claim" data-claim={claim.id} data-verdict={claim.verdict}>
          <p>
            <span class="mark">{claim.verdict}</span> {claim.unit === null && claim.hook_point && <>{words.claims.layer(short(claim.hook_point))} </>}<strong class="sentence">{withNames(claim.sentence[0].toUpperCase() + claim.sentence.slice(1))}</strong>
          </p>
          <details>
            <summary>{words.claims.why}</summary>
            <p class="quiet"><span class="reasons">{withNames(claim.reasons)}</span> {claim.decisive && <span class="decisive"><Say text={words.claims.decisive} name={<Hint text={claim.null}>{claim.decisive}</Hint>} /> </span>}<span class="replicated">{claim.replicated}</span></p>
          </details>
        </li>
      ))}
    </ul>
  );
}

/** A claim's verdict and sentence alone. */
export function Headline({ claim }: { claim: ClaimData }): JSX.Element {
  return (
    <p class="claimed" data-claim={claim.id} data-verdict={claim.verdict}>
      <span class="mark">{claim.verdict}</span> <span class="sentence">{withNames(claim.sentence[0].toUpperCase() + claim.sentence.slice(1))}</span>
    </p>
  );
}

/** Claims about a network and its layers; claims about single units are on their cards. */
export function NetworkClaims({ lab, network }: { lab: Lab; network: number }): JSX.Element {
  const claims = lab.claims[network].filter((claim) => claim.unit === null);
  const shown = claims.filter((claim) => claim.verdict === "shown").length;
  if (!claims.length) return <Unclaimed lab={lab} network={network} />;
  return (
    <Fold name={`claims.${network}`} summary={words.claims.shown(shown, claims.length)}>{() => <Claims claims={claims} />}</Fold>
  );
}

export function Unclaimed({ lab, network }: { lab: Lab; network: number }): JSX.Element {
  const reason = lab.models[network].data.unclaimed;
  return <p class="quiet unclaimed">{words.claims.none(reason)}</p>;
}

import { useState } from 'react';
import { useHasRoute, useResource } from '../../shared/api/hooks.ts';
import type { Person, Right } from '../../shared/api/types.ts';
import { list, time } from '../../shared/format.ts';
import { go } from '../../shared/router.ts';
import { useHolds } from '../../shared/session.tsx';
import { Choice } from '../../shared/ui/Field.tsx';
import { Loaded } from '../../shared/ui/Loaded.tsx';
import { Empty } from '../../shared/ui/Notice.tsx';
import { Page, Section } from '../../shared/ui/Page.tsx';

/** Why somebody can see a study, or cannot. */
export function ExplanationPage({ study, query }: { study: string; query: URLSearchParams }) {
  const hasRoute = useHasRoute();
  const holds = useHolds();
  const person = query.get('person') ?? '';
  if (!hasRoute('GET', '/api/studies/{study}/explanation') || !holds('administer')) {
    return (
      <Page title="Why can somebody see this study?">
        <Empty>This is for administrators of a server that can tell.</Empty>
      </Page>
    );
  }
  return (
    <Page title="Why can this person see this study?" lead={study}>
      <div className="cards">
        <WhoField study={study} person={person} />
        {person !== '' && <Explained study={study} person={person} />}
      </div>
    </Page>
  );
}

function WhoField({ study, person }: { study: string; person: string }) {
  const people = useResource<{ people: Person[] }>('api/people');
  const [chosen, setChosen] = useState(person);
  return (
    <Section title="Who">
      <Choice
        label="Person"
        value={chosen}
        onChange={(event) => {
          setChosen(event.target.value);
          go(`/why/${study}?person=${event.target.value}`);
        }}
      >
        <option value="">Choose somebody</option>
        {people.data?.people.map((one) => (
          <option key={one.id} value={one.id}>
            {one.name || one.login}
          </option>
        ))}
      </Choice>
    </Section>
  );
}

type GrantOnStudy = {
  source: string;
  rights: Right[];
  includes_study: boolean;
  /** Whether the study would be in its scope were it not restricted. */
  only_for_restriction: boolean;
  until: number | null;
};
type Explanation = { sees: boolean; grants: GrantOnStudy[] };

function Explained({ study, person }: { study: string; person: string }) {
  const explanation = useResource<Explanation>(`api/studies/${study}/explanation?person=${person}`);
  return (
    <Section title="Why">
      <Loaded query={explanation}>
        {({ sees, grants }) => (
          <>
            <p>
              <strong>{sees ? 'They see this study.' : 'They do not see this study.'}</strong>
            </p>
            {grants.length === 0 ? (
              <p>They were granted nothing at all.</p>
            ) : (
              <ul className="plain">
                {grants.map((grant) => (
                  <li key={`${grant.source} ${grant.rights.join()} ${grant.until ?? ''}`}>{inWords(grant)}</li>
                ))}
              </ul>
            )}
          </>
        )}
      </Loaded>
    </Section>
  );
}

function inWords(grant: GrantOnStudy): string {
  const until = grant.until === null ? '' : ` until ${time(grant.until)}`;
  const gives = `gives ${list(grant.rights)}${until}`;
  if (grant.includes_study) {
    return `${grant.source}: ${gives}, and the study is among its studies.`;
  }
  if (grant.only_for_restriction) {
    return `${grant.source}: ${gives}, but not over restricted studies, and this one is restricted.`;
  }
  return `${grant.source}: ${gives}, but the study is not among its studies.`;
}

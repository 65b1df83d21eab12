import { useState } from 'react';
import { useHasRoute, useResource } from '../../shared/api/hooks.ts';
import type { Person } from '../../shared/api/types.ts';
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

type Explanation = { text?: string; reasons?: { text: string; applies?: boolean }[] };

function Explained({ study, person }: { study: string; person: string }) {
  const explanation = useResource<Explanation>(`api/studies/${study}/explanation?person=${person}`);
  return (
    <Section title="Why">
      <Loaded query={explanation}>
        {({ text, reasons = [] }) => (
          <>
            {text !== undefined && <p>{text}</p>}
            <ul className="plain">
              {reasons.map((reason) => (
                <li key={reason.text}>{reason.text}</li>
              ))}
            </ul>
          </>
        )}
      </Loaded>
    </Section>
  );
}

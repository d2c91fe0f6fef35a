import { Page } from "../../components/page.tsx";

export default function TaskPage({ id }: { id: string }) {
  return <Page title={id}>{null}</Page>;
}

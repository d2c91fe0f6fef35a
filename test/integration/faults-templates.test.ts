import { testFaults } from "../support/faults.ts";

testFaults("template");
testFaults("fork");
